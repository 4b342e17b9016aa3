"""Commands of sagas to others than wallets: to a payment's provider, and to another payment's saga.

A provider is asked under one idempotency key however often it is asked, and told to
cancel under the same: after that the payment has no effect there, for ever.
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
    """The version that the answer on saga-events will bear."""
    attempt: int
    """Counts from 1; the provider may have heard an earlier one."""


class CancelPayment(msgspec.Struct, frozen=True, gc=False):
    """Have the provider make the payment one that never was."""

    payment_id: PaymentId
    provider: str
    amount_minor: int
    currency: str
    saga_version: int
    attempt: int
    reason: str
    """Why; the answer bears it again."""


class ReserveRefund(msgspec.Struct, frozen=True, gc=False):
    """Ask the payment's saga to set so much of it aside for a refund; 0: all that is left."""

    payment_id: PaymentId
    refund_id: PaymentId
    amount_minor: int
    currency: str
    saga_version: int
    """The version that the refund's saga awaits."""


class EndRefund(msgspec.Struct, frozen=True, gc=False):
    """Tell the payment's saga how a refund that it granted has ended."""

    payment_id: PaymentId
    refund_id: PaymentId
    is_completed: bool


class SettlePayment(msgspec.Struct, frozen=True, gc=False):
    """A person says what the provider has done, since the provider does not."""

    payment_id: PaymentId
    is_approved: bool
    reason: str


ProviderOrder = CarryOutPayment | CancelPayment
SagaCommand = ReserveRefund | EndRefund | SettlePayment
