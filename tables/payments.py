"""payment-events -> payments (RocksDB) -> payments-changelog.

The fingerprint of every payment ever requested: what tells a repetition from a
mismatch.  Written by agents/payments only.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.payment import PaymentKnown
from ledger_streams.engine.batches import PartitionBatch
from ledger_streams.engine.state.store import TableSpec

PAYMENTS: Final = TableSpec(
    name="payments",
    help="fingerprint of each payment's content, kept for ever",
    source=topics.PAYMENT_EVENTS,
    changelog=topics.PAYMENTS_CHANGELOG,
    encode=wire.encode_known_payment,
    decode=wire.decode_known_payment,
    stored_form=bytes,
)
ledger.tables.declare(PAYMENTS)

_changelog = destination(topics.PAYMENTS_CHANGELOG)


def find(share: PartitionBatch, payment_id: str) -> PaymentKnown | None:
    """Return what is known of the payment, as the cycle has it so far; None when it is new."""
    known: PaymentKnown | None = share.get_state(payment_id.encode())
    return known


def keep(share: PartitionBatch, payment_id: str, known: PaymentKnown) -> None:
    """Keep what is known of the payment from now on."""
    encoded = wire.encode_known_payment(known)
    share.put_state(payment_id.encode(), known, stored=encoded, logged=encoded, changelog=_changelog)
