"""saga-events, saga-commands -> sagas (RocksDB) -> sagas-changelog.

The state of each payment's saga, and the deadline of the reply that it awaits.
Only agents/sagas writes it.
"""

from __future__ import annotations

import re
from typing import Final

from ledger_streams import topics, wire
from ledger_streams.domain.saga.state import Saga
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic
from ledger_streams.engine.state.store import TableSpec

_due_ms = re.compile(rb'"due_ms":(\d+)').search


def due_ms_of(stored: bytes) -> int | None:
    """Return the deadline of a stored saga, in ms; None without one."""
    found = _due_ms(stored) if b'"due_ms":' in stored else None  # most have none; `in` is faster
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


class SagasTable:
    """Finds and keeps sagas."""

    def __init__(self, changelog: PartitionedTopic) -> None:
        self._changelog = changelog

    def find(self, batch: PartitionBatch, payment_id: str) -> Saga | None:
        """Return the payment's saga, with the changes of the current cycle; None before its start."""
        saga: Saga | None = batch.get_state(payment_id.encode())
        return saga

    def keep(self, batch: PartitionBatch, saga: Saga) -> None:
        """Store the saga's new state."""
        encoded = wire.encode_saga_state(saga)
        batch.put_state(
            saga.payment_id.encode(), saga, stored=encoded, logged=encoded, changelog=self._changelog
        )
