"""Answers of providers and of refunded payments to a saga, on saga-events.

A provider's answer is final, except `ProviderTimedOut`: the outcome is unknown, and the provider
may have carried the payment out.  The saga of the refunded payment grants or refuses a refund,
since it knows the amount that is left.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.request import PaymentKind


class ProviderApproved(msgspec.Struct, frozen=True, gc=False):
    """The provider carried the payment out; `detail` is its reference, or an operator's reason."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    detail: str | None = None


class ProviderDeclined(msgspec.Struct, frozen=True, gc=False):
    """The provider did not carry the payment out and never will."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    reason: str
    detail: str | None = None


class ProviderTimedOut(msgspec.Struct, frozen=True, gc=False):
    """The outcome is unknown: the provider may have carried the payment out, or may still do it."""

    payment_id: PaymentId
    version: int
    provider: str
    amount_minor: int
    currency: str
    detail: str | None = None


class RefundGranted(msgspec.Struct, frozen=True, gc=False):
    """The payment `refund_of` reserved this amount for the refund; the rest says how it was paid."""

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
    """The payment `refund_of` refuses the refund; nothing is reserved."""

    payment_id: PaymentId
    version: int
    refund_of: PaymentId
    reason: str
    detail: str


ProviderReply = ProviderApproved | ProviderDeclined | ProviderTimedOut
RefundReply = RefundGranted | RefundRefused
