"""Answers: what a saga hears from others than wallets, on saga-events.

A provider's answer is final or it is none: `ProviderTimedOut` says that nobody knows yet
whether the provider has done its part.  A refund is granted or refused by the saga of the
payment it refunds, which alone knows how much of it is left.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.request import PaymentKind


class ProviderApproved(msgspec.Struct, frozen=True, gc=False):
    """The provider has done its part; `detail` is its reference, or why a person says so."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    detail: str | None = None


class ProviderDeclined(msgspec.Struct, frozen=True, gc=False):
    """The provider has not done its part and never will."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    reason: str
    detail: str | None = None


class ProviderTimedOut(msgspec.Struct, frozen=True, gc=False):
    """No answer that tells anything: the provider may have done its part, or may do it yet."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    detail: str | None = None


class RefundGranted(msgspec.Struct, frozen=True, gc=False):
    """This much of the payment `refund_of` is set aside for the refund; the rest is how it was paid."""

    payment_id: PaymentId
    """The refund."""
    version: int
    refund_of: PaymentId
    amount_minor: int
    currency: str
    kind: PaymentKind
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    provider: str | None


class RefundRefused(msgspec.Struct, frozen=True, gc=False):
    """The payment `refund_of` cannot be refunded so; nothing is set aside."""

    payment_id: PaymentId
    version: int
    refund_of: PaymentId
    reason: str
    detail: str


ProviderReply = ProviderApproved | ProviderDeclined | ProviderTimedOut
RefundReply = RefundGranted | RefundRefused
