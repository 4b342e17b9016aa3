"""Commands of sagas to a payment's provider and to another payment's saga.

All calls of a payment, the cancellation too, carry one idempotency key.  After a cancellation the
payment never has an effect at the provider.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.ids import PaymentId
from ledger_streams.domain.request import PaymentKind


class CarryOutPayment(msgspec.Struct, frozen=True, gc=False):
    """Have the provider collect (deposit) or pay out (withdrawal) the money."""

    payment_id: PaymentId
    provider: str
    kind: PaymentKind
    amount_minor: int
    currency: str
    saga_version: int
    """The version that the answer on saga-events will carry."""
    attempt: int
    """Counts from 1; the provider may have received an earlier attempt."""


class CancelPayment(msgspec.Struct, frozen=True, gc=False):
    """Cancel the payment at the provider, so that it never has an effect there."""

    payment_id: PaymentId
    provider: str
    amount_minor: int
    currency: str
    saga_version: int
    attempt: int
    reason: str
    """Reason of the cancellation; the answer repeats it."""


class ReserveRefund(msgspec.Struct, frozen=True, gc=False):
    """Reserve an amount of the payment for a refund; 0: the whole rest."""

    payment_id: PaymentId
    refund_id: PaymentId
    amount_minor: int
    currency: str
    saga_version: int
    """The version that the refund's saga awaits."""


class EndRefund(msgspec.Struct, frozen=True, gc=False):
    """Report the end of a granted refund to the payment's saga."""

    payment_id: PaymentId
    refund_id: PaymentId
    is_completed: bool


class SettlePayment(msgspec.Struct, frozen=True, gc=False):
    """An operator states the provider's outcome, since the provider does not."""

    payment_id: PaymentId
    is_approved: bool
    reason: str


ProviderOrder = CarryOutPayment | CancelPayment
SagaCommand = ReserveRefund | EndRefund | SettlePayment
