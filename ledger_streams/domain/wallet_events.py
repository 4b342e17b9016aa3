"""Wallet events: what has happened to a wallet; the class's name is the event_type on the wire.

Each belongs to a wallet and carries its version after the event.  Money is minor units
here and decimal strings on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId


class WalletOpened(msgspec.Struct, frozen=True, gc=False):
    """A wallet begins, with every balance zero."""

    wallet_id: WalletId
    version: int
    user_id: UserId
    currencies: tuple[str, ...]
    overdraft_limits: Mapping[str, int]


class BalanceAdded(msgspec.Struct, frozen=True, gc=False):
    """The balance and available went up; nothing else raises the balance."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty


class BalanceDeducted(msgspec.Struct, frozen=True, gc=False):
    """The balance went down, out of available or, with a `hold_id`, of what is held; nothing else does it."""

    wallet_id: WalletId
    version: int
    payment_id: PaymentId
    amount_minor: int
    currency: str
    counterparty: Counterparty
    hold_id: HoldId | None = None


class FundsHeld(msgspec.Struct, frozen=True, gc=False):
    """Money went from available to held, until it is captured, released or `expires_ms` has come."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId | None
    """The payment whose step it is; None for a caller's hold."""
    expires_ms: int | None
    """Milliseconds since 1970."""


class HoldCaptured(msgspec.Struct, frozen=True, gc=False):
    """This much of the hold has been taken, by the BalanceDeducted before it; `left_minor` stays held."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId
    left_minor: int


class HoldReleased(msgspec.Struct, frozen=True, gc=False):
    """What was left of the hold is available again; the hold has ended."""

    wallet_id: WalletId
    version: int
    hold_id: HoldId
    amount_minor: int
    currency: str
    payment_id: PaymentId | None
    reason: str


class WalletFrozen(msgspec.Struct, frozen=True, gc=False):
    """Deductions are refused from here."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletUnfrozen(msgspec.Struct, frozen=True, gc=False):
    """Deductions are taken again."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletClosed(msgspec.Struct, frozen=True, gc=False):
    """The wallet, empty, has ended; only compensations still reach it."""

    wallet_id: WalletId
    version: int
    reason: str


class WalletReopeningProposed(msgspec.Struct, frozen=True, gc=False):
    """A person wants the closed wallet, to which money has come back, to be reopened by a second one."""

    wallet_id: WalletId
    version: int
    reason: str
    by: str


class WalletReopened(msgspec.Struct, frozen=True, gc=False):
    """The wallet is open again: two people have said so."""

    wallet_id: WalletId
    version: int
    reason: str
    proposed_by: str
    approved_by: str


class LimitsChanged(msgspec.Struct, frozen=True, gc=False):
    """The overdraft limits of these currencies are now these."""

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
