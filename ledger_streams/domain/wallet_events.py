"""Wallet events; the class name is the event_type on the wire.

Each event belongs to one wallet and carries the wallet's version after it.  Money is minor units
here and decimal strings on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId


class WalletOpened(msgspec.Struct, frozen=True, gc=False):
    """A wallet opens with zero balances."""

    wallet_id: WalletId
    version: int
    user_id: UserId
    currencies: tuple[str, ...]
    overdraft_limits: Mapping[str, int]


class BalanceAdded(msgspec.Struct, frozen=True, gc=False):
    """Balance and available increased; the only event that increases the balance."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty


class BalanceDeducted(msgspec.Struct, frozen=True, gc=False):
    """The balance decreased, from available or, with a `hold_id`, from held; no other event does it."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty
    hold_id: HoldId | None = None


class FundsHeld(msgspec.Struct, frozen=True, gc=False):
    """Money moved from available to held, until a capture, a release or `expires_ms`."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId | None
    """The payment that holds the money; None for a caller's hold."""
    expires_ms: int | None
    """Milliseconds since 1970."""


class HoldCaptured(msgspec.Struct, frozen=True, gc=False):
    """The preceding BalanceDeducted captured this much of the hold; `left_minor` stays held."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId
    left_minor: int


class HoldReleased(msgspec.Struct, frozen=True, gc=False):
    """The rest of the hold is available again; the hold has ended."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId | None
    reason: str


class WalletFrozen(msgspec.Struct, frozen=True, gc=False):
    """The wallet refuses deductions from now on."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletUnfrozen(msgspec.Struct, frozen=True, gc=False):
    """The wallet allows deductions again."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletClosed(msgspec.Struct, frozen=True, gc=False):
    """The empty wallet is closed; only compensations can still change it."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletReopeningProposed(msgspec.Struct, frozen=True, gc=False):
    """One person proposed to reopen a closed wallet with a balance; a second one must approve."""

    wallet_id: WalletId
    version: int
    reason: str
    by: str


class WalletReopened(msgspec.Struct, frozen=True, gc=False):
    """The wallet is open again, approved by a second person."""

    wallet_id: WalletId
    version: int
    reason: str
    proposed_by: str
    approved_by: str


class LimitsChanged(msgspec.Struct, frozen=True, gc=False):
    """The overdraft limits of these currencies changed."""

    wallet_id: WalletId
    version: int
    overdraft_limits: Mapping[str, int]


class WalletCommandRefused(msgspec.Struct, frozen=True, gc=False):
    """An administrative command was refused; only the version moves."""

    wallet_id: WalletId
    version: int
    command: str
    reason: str
    detail: str


WalletEvent = (
    WalletOpened
    | BalanceAdded
    | BalanceDeducted
    | FundsHeld
    | HoldCaptured
    | HoldReleased
    | WalletFrozen
    | WalletUnfrozen
    | WalletClosed
    | WalletReopeningProposed
    | WalletReopened
    | LimitsChanged
    | WalletCommandRefused
)
