"""Collection of the three projected topics' records by payment.

Records of a partition come in order.  Records that the agents parked are found unreadable again and
left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams import wire
from ledger_streams.domain.events import SagaStarted
from ledger_streams.domain.ids import PaymentId
from ledger_streams.domain.payment import FINGERPRINT_INVALID
from ledger_streams.errors import Unreadable
from ledger_streams.recovery.saga_resume_facts import PaymentFacts


class PaymentFactsCollector:
    """Facts of each payment, by id."""

    def __init__(self) -> None:
        self.payments: dict[PaymentId, PaymentFacts] = {}

    def of(self, payment_id: str) -> PaymentFacts:
        """Return the facts of a payment, created when missing."""
        return self.payments.setdefault(PaymentId(payment_id), PaymentFacts(PaymentId(payment_id)))

    def add_payment_event(self, value: bytes | None, *, key: bytes | None, at_ms: int) -> None:
        """Add a record of payment-events that was appended at `at_ms`."""
        try:
            requested = wire.read_payment_event(value, key=key, append_ms=at_ms)
            ended = None if requested else wire.read_payment_outcome(value, key=key)
        except Unreadable as error:
            if error.payment_id is not None:
                self.add_fingerprint(error.payment_id, FINGERPRINT_INVALID)
            return
        if requested is not None:
            known = self.of(requested.request.payment_id)
            if known.request is None and known.fingerprint != FINGERPRINT_INVALID:
                known.request = requested
                known.fingerprint = known.fingerprint or requested.fingerprint
        elif ended is not None:
            self.of(ended.outcome.payment_id).outcomes.append(ended)

    def add_fingerprint(self, payment_id: str, fingerprint: str) -> None:
        """Add the fingerprint of a payment's first content; call it before adding events."""
        known = self.of(payment_id)
        known.fingerprint = known.fingerprint or fingerprint

    def add_saga_event(self, value: bytes | None, *, key: bytes | None) -> None:
        """Add a record of saga-events."""
        try:
            read = wire.read_saga_event(value, key=key)
        except Unreadable:
            return
        known = self.of(read.event.payment_id)
        known.saga_events.append(read)
        if isinstance(read.event, SagaStarted):
            known.request_id = wire.decode_envelope(value).causation_id

    def add_wallet_event(self, value: bytes | None, *, key: bytes | None) -> None:
        """Add a record of wallet-events if it belongs to a payment."""
        read = wire.read_wallet_event(value, key=key)
        payment_id = getattr(read.event, "payment_id", None)
        if payment_id is not None:
            self.of(payment_id).wallet_events.append(read)

    def refunds_of(self) -> Mapping[PaymentId, list[PaymentFacts]]:
        """Return the known refunds by refunded payment; the payment itself may be unknown."""
        found: dict[PaymentId, list[PaymentFacts]] = {}
        for known in list(self.payments.values()):
            for told in known.refunds_told:
                self.of(told.refund_id).told = told
            if (grant := known.grant()) is not None:
                self.of(grant.refund_of)
        for known in self.payments.values():
            if (paid := refund_of(known)) is not None:
                found.setdefault(paid, []).append(known)
        return found


def refund_of(known: PaymentFacts) -> PaymentId | None:
    """Return the payment that this one refunds; None when it is not a refund."""
    started = [read.event.request for read in known.saga_events if isinstance(read.event, SagaStarted)]
    requests = started or ([known.request.request] if known.request is not None else [])
    if requests:
        return requests[0].refund_of
    return None if known.told is None else known.told.payment_id
