"""saga-events -> sagas (RocksDB) -> sagas-changelog.

Where each payment's saga stands.  Written by agents/sagas only.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.app import ledger
from ledger_streams.domain.saga import Saga
from ledger_streams.engine.cycles import Destination, Share
from ledger_streams.engine.store import TableSpec
from ledger_streams.settings import settings

SAGAS: Final = TableSpec(
    name="sagas",
    help="where the saga of each payment stands",
    source=topics.SAGA_EVENTS,
    changelog=topics.SAGAS_CHANGELOG,
    encode=wire.encode_saga_state,
    decode=wire.decode_saga_state,
    stored_form=bytes,
)
ledger.tables.declare(SAGAS)

_changelog = Destination(
    settings().topic(topics.SAGAS_CHANGELOG), topics.spec(topics.SAGAS_CHANGELOG).partitions
)


def find(share: Share, payment_id: str) -> Saga | None:
    """Return the payment's saga as the cycle has it so far; None when it has not started."""
    saga: Saga | None = share.state(payment_id.encode())
    return saga


def keep(share: Share, saga: Saga) -> None:
    """Keep the saga's new state."""
    encoded = wire.encode_saga_state(saga)
    share.change(saga.payment_id.encode(), saga, stored=encoded, logged=encoded, changelog=_changelog)
