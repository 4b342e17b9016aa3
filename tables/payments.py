"""payment-events -> payments (RocksDB) -> payments-changelog.

The fingerprint of every payment ever requested: it distinguishes a repetition from another
payment with the same id.  Only agents/payments writes it.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.domain.payment import PaymentKnown
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic
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


class PaymentsTable:
    """Finds and keeps the fingerprints of payments."""

    def __init__(self, changelog: PartitionedTopic) -> None:
        self._changelog = changelog

    def find(self, batch: PartitionBatch, payment_id: str) -> PaymentKnown | None:
        """Return the known payment, with the changes of the current cycle; None when it is new."""
        known: PaymentKnown | None = batch.get_state(payment_id.encode())
        return known

    def keep(self, batch: PartitionBatch, payment_id: str, known: PaymentKnown) -> None:
        """Store the payment as known from now on."""
        encoded = wire.encode_known_payment(known)
        batch.put_state(payment_id.encode(), known, stored=encoded, logged=encoded, changelog=self._changelog)
