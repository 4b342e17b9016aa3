"""saga-events, saga-commands -> sagas (RocksDB) -> sagas-changelog.

Where each payment's saga stands, and when it has to go on though no reply has come.
Written by agents/sagas only.
"""

from __future__ import annotations

import re
from typing import Final

from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.saga.state import Saga
from ledger_streams.engine.batches import PartitionBatch
from ledger_streams.engine.state.store import TableSpec

_due_ms = re.compile(rb'"due_ms":(\d+)').search


def due_ms_of(stored: bytes) -> int | None:
    """Return when a saga, as it is kept, is due."""
    found = _due_ms(stored) if b'"due_ms":' in stored else None  # which most have not, and `in` is faster
    return None if found is None else int(found[1])


SAGAS: Final = TableSpec(
    name="sagas",
    help="where the saga of each payment stands",
    source=topics.SAGA_EVENTS,
    changelog=topics.SAGAS_CHANGELOG,
    encode=wire.encode_saga_state,
    decode=wire.decode_saga_state,
    stored_form=bytes,
    further_sources=(topics.SAGA_COMMANDS,),
    due_ms_of=due_ms_of,
)
ledger.tables.declare(SAGAS)

_changelog = destination(topics.SAGAS_CHANGELOG)


def find(share: PartitionBatch, payment_id: str) -> Saga | None:
    """Return the payment's saga as the cycle has it so far; None when it has not started."""
    saga: Saga | None = share.get_state(payment_id.encode())
    return saga


def keep(share: PartitionBatch, saga: Saga) -> None:
    """Keep the saga's new state."""
    encoded = wire.encode_saga_state(saga)
    share.put_state(saga.payment_id.encode(), saga, stored=encoded, logged=encoded, changelog=_changelog)
