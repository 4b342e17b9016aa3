"""Request: what a payment asks for, typed."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId


class PaymentKind(StrEnum):
    """The kinds of payments, by payer and payee."""

    TRANSFER = "transfer"
    """From a source wallet to a target wallet."""
    DEPOSIT = "deposit"
    """From the outside world to a target wallet."""
    WITHDRAWAL = "withdrawal"
    """From a source wallet to the outside world."""
    REFUND = "refund"
    """The reverse of an earlier payment, in full or in part."""


class PaymentRequest(msgspec.Struct, frozen=True, gc=False):
    """The content of a payment request; the kind determines which wallets are set."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    """0 in a refund of the whole rest."""
    currency: str
    """Empty in a refund that names none."""
    source_wallet_id: WalletId | None = None
    target_wallet_id: WalletId | None = None
    provider: str | None = None
    user_id: UserId | None = None
    hold_id: HoldId | None = None
    """The hold of the source wallet to capture; None: debit available money."""
    refund_of: PaymentId | None = None
