"""Events of sagas and payments, in the past tense; the class name is the event_type on the wire.

Saga events belong to a payment's saga, on saga-events; outcomes end a payment, on
payment-events.  Wallet events are in wallet_events, answers of providers
and refunded payments in answers.  Money is minor units here and decimal strings on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger_streams.domain.answers import ProviderReply, RefundReply
from ledger_streams.domain.ids import HoldId, PaymentId, WalletId
from ledger_streams.domain.request import PaymentKind, PaymentRequest


class SagaStarted(msgspec.Struct, frozen=True, gc=False):
    """A payment starts; `data` is the request's content as received, JSON."""

    request: PaymentRequest
    data: msgspec.Raw
    version: int = 1

    @property
    def payment_id(self) -> PaymentId:
        """The payment of the saga, as in every saga event."""
        return self.request.payment_id


class WalletDeducted(msgspec.Struct, frozen=True, gc=False):
    """The wallet was debited and has the version `wallet_version` now."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int


class WalletDeductionRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet refused the debit; `wallet_version` is unchanged, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str


class WalletCredited(msgspec.Struct, frozen=True, gc=False):
    """The wallet was credited and has the version `wallet_version` now."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    compensates: bool = False


class WalletCreditRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet refused the credit; `wallet_version` is unchanged, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str
    compensates: bool = False


class WalletHeld(msgspec.Struct, frozen=True, gc=False):
    """The wallet holds the money for this payment."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    hold_id: HoldId


class WalletReleased(msgspec.Struct, frozen=True, gc=False):
    """The wallet released the money held for this payment."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    hold_id: HoldId


class SagaCompensated(msgspec.Struct, frozen=True, gc=False):
    """The payer was compensated."""

    payment_id: PaymentId
    version: int
    amount_minor: int
    currency: str
    reason: str


class SagaCompleted(msgspec.Struct, frozen=True, gc=False):
    """The payment was carried out."""

    payment_id: PaymentId
    version: int
    amount_minor: int
    currency: str


class SagaFailed(msgspec.Struct, frozen=True, gc=False):
    """The payment failed; version 1 means that it never started, and has no amount."""

    payment_id: PaymentId
    version: int
    reason: str
    amount_minor: int | None = None
    currency: str | None = None
    detail: str | None = None


WalletReply = (
    WalletDeducted
    | WalletDeductionRefused
    | WalletCredited
    | WalletCreditRefused
    | WalletHeld
    | WalletReleased
)
Reply = WalletReply | ProviderReply | RefundReply
"""The replies that a saga awaits after a step."""
SagaEnd = SagaCompensated | SagaCompleted | SagaFailed
SagaEvent = SagaStarted | Reply | SagaEnd


class PaymentCompleted(msgspec.Struct, frozen=True, gc=False):
    """The payment completed; `wallets` has the version of each wallet that it changed."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    wallets: Mapping[str, int]
    version: int = 2


class PaymentFailed(msgspec.Struct, frozen=True, gc=False):
    """The payment failed without effect; `wallets` has the wallets debited and compensated."""

    payment_id: PaymentId
    reason: str
    wallets: Mapping[str, int]
    detail: str | None = None
    version: int = 2


class PaymentRefunded(msgspec.Struct, frozen=True, gc=False):
    """A completed payment was refunded in part or in full; its versions follow the outcome's."""

    payment_id: PaymentId
    version: int
    refund_id: PaymentId
    """The payment of kind refund."""
    amount_minor: int
    refunded_minor: int
    """Total of all refunds so far."""
    paid_minor: int
    currency: str


PaymentOutcome = PaymentCompleted | PaymentFailed | PaymentRefunded
