"""Request: what a payment asks for, typed."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId


class PaymentKind(StrEnum):
    """Between whom the money moves."""

    TRANSFER = "transfer"
    """From a source wallet to a target wallet."""
    DEPOSIT = "deposit"
    """From the outside world to a target wallet."""
    WITHDRAWAL = "withdrawal"
    """From a source wallet to the outside world."""
    REFUND = "refund"
    """Back the way of an earlier payment, in whole or in part."""


class PaymentRequest(msgspec.Struct, frozen=True, gc=False):
    """What a payment asks for; which wallets are set follows from the kind."""

    payment_id: PaymentId
    kind: PaymentKind
    amount_minor: int
    """0 in a refund of all that is left."""
    currency: str
    """Empty in a refund that names none."""
    source_wallet_id: WalletId | None = None
    target_wallet_id: WalletId | None = None
    provider: str | None = None
    user_id: UserId | None = None
    hold_id: HoldId | None = None
    """The hold of the source wallet that the money is taken out of; None: out of available."""
    refund_of: PaymentId | None = None
