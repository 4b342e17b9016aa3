"""Events: what has happened, in the past tense; the class's name is the event_type on the wire.

Saga events belong to a payment's saga, on saga-events; outcomes end a payment, on
payment-events.  A wallet's own are in wallet_events, what providers and refunded payments
answer a saga in answers.  Money is minor units here and decimal strings on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger_streams.domain.answers import ProviderReply, RefundReply
from ledger_streams.domain.ids import HoldId, PaymentId, WalletId
from ledger_streams.domain.request import PaymentKind, PaymentRequest


class SagaStarted(msgspec.Struct, frozen=True, gc=False):
    """A payment sets out; `data` is the request's content as it came, JSON."""

    request: PaymentRequest
    data: msgspec.Raw
    version: int = 1

    @property
    def payment_id(self) -> PaymentId:
        """The payment it is about, as of every saga event."""
        return self.request.payment_id


class WalletDeducted(msgspec.Struct, frozen=True, gc=False):
    """The money has left the wallet, whose version is now `wallet_version`."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int


class WalletDeductionRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet keeps its money; `wallet_version` is what it was, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str


class WalletCredited(msgspec.Struct, frozen=True, gc=False):
    """The money is in the wallet, whose version is now `wallet_version`."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    compensates: bool = False


class WalletCreditRefused(msgspec.Struct, frozen=True, gc=False):
    """The wallet did not take the money; `wallet_version` is what it was, 0 without a wallet."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    reason: str
    compensates: bool = False


class WalletHeld(msgspec.Struct, frozen=True, gc=False):
    """The wallet has set the money aside for this payment."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    hold_id: HoldId


class WalletReleased(msgspec.Struct, frozen=True, gc=False):
    """What the wallet had set aside for this payment is available again."""

    payment_id: PaymentId
    version: int
    wallet_id: WalletId
    amount_minor: int
    currency: str
    wallet_version: int
    hold_id: HoldId


class SagaCompensated(msgspec.Struct, frozen=True, gc=False):
    """The payer has the money back."""

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
    """The payment was not carried out; of version 1 it never set out, and has no amount."""

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
"""What a saga awaits: the answer to its last step."""
SagaEnd = SagaCompensated | SagaCompleted | SagaFailed
SagaEvent = SagaStarted | Reply | SagaEnd


class PaymentCompleted(msgspec.Struct, frozen=True, gc=False):
    """The payment's end, with the version of each wallet it touched."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    wallets: Mapping[str, int]
    version: int = 2


class PaymentFailed(msgspec.Struct, frozen=True, gc=False):
    """The payment's end without effect; `wallets` has what was taken and given back."""

    payment_id: PaymentId
    reason: str
    wallets: Mapping[str, int]
    detail: str | None = None
    version: int = 2


class PaymentRefunded(msgspec.Struct, frozen=True, gc=False):
    """Part of a completed payment, or all of it, has gone back; its versions follow the outcome's."""

    payment_id: PaymentId
    version: int
    refund_id: PaymentId
    """The payment of kind refund that did it."""
    amount_minor: int
    refunded_minor: int
    """By all refunds so far."""
    paid_minor: int
    currency: str


PaymentOutcome = PaymentCompleted | PaymentFailed | PaymentRefunded
