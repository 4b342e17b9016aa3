"""Wallet: the balances of one user's wallet, folded from its events.

Balances are minor units by currency.  Two invariants hold in every state: available is
never below minus the overdraft limit, and the version counts the wallet's events from 1
without a gap.  A wallet is immutable: `evolve` returns the next one.  The
decisions on commands are in wallet_decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ledger_streams.domain.ids import HoldId, PaymentId, UserId, WalletId
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    LimitsChanged,
    WalletClosed,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletReopened,
    WalletReopeningProposed,
    WalletUnfrozen,
)
from ledger_streams.errors import InvariantBroken


class WalletStatus(StrEnum):
    """Status of a wallet; the text below a value: its meaning, and which values may follow."""

    OPEN = "open"
    """Money comes in and goes out; may become frozen or closed."""
    FROZEN = "frozen"
    """Money comes in, and none goes out; may become open or closed."""
    CLOSED = "closed"
    """No money goes in or out, but for compensations; may become open if two people approve it."""


class Balance(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The money of one currency in a wallet."""

    available_minor: int = 0
    held_minor: int = 0
    overdraft_limit_minor: int = 0

    @property
    def balance_minor(self) -> int:
        """Available plus held; none of the three includes the overdraft."""
        return self.available_minor + self.held_minor


class Hold(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Held money: the rest of it, its payment, and its expiry (ms since 1970)."""

    amount_minor: int
    currency: str
    payment_id: PaymentId | None = None
    expires_ms: int | None = None


class Reopening(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The reason to reopen a closed wallet, and the person who proposed it."""

    reason: str
    by: str


class Wallet(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A wallet after its event `version`."""

    wallet_id: WalletId
    user_id: UserId
    status: WalletStatus
    version: int
    balances: Mapping[str, Balance]
    holds: Mapping[HoldId, Hold] = {}
    """The holds of a currency sum to its held balance."""
    reopening: Reopening | None = None
    """A proposed reopening that awaits approval."""


def evolve(wallet: Wallet | None, event: WalletEvent) -> Wallet:
    """Return the wallet after `event`, which must be the next one of this wallet."""
    if wallet is None:
        return _opened(event)
    if event.version != wallet.version + 1 or event.wallet_id != wallet.wallet_id:
        raise InvariantBroken(
            f"event {event.version} of wallet {event.wallet_id} does not follow "
            f"version {wallet.version} of {wallet.wallet_id}"
        )
    return Wallet(
        wallet.wallet_id,
        wallet.user_id,
        _status_after(wallet, event),
        event.version,
        _balances_after(wallet, event),
        _holds_after(wallet.holds, event),
        _reopening_after(wallet.reopening, event),
    )


def _opened(event: WalletEvent) -> Wallet:
    if not isinstance(event, WalletOpened) or event.version != 1:
        raise InvariantBroken(f"wallet {event.wallet_id} begins with version {event.version}, not opened")
    limits = event.overdraft_limits
    balances = {currency: Balance(0, 0, limits.get(currency, 0)) for currency in event.currencies}
    return Wallet(event.wallet_id, event.user_id, WalletStatus.OPEN, 1, balances)


def _status_after(wallet: Wallet, event: WalletEvent) -> WalletStatus:
    match event:
        case WalletFrozen():
            return WalletStatus.FROZEN
        case WalletUnfrozen() | WalletReopened():
            return WalletStatus.OPEN
        case WalletClosed():
            return WalletStatus.CLOSED
        case WalletOpened():
            raise InvariantBroken(f"wallet {wallet.wallet_id} is opened twice")
        case _:
            return wallet.status


def _balances_after(wallet: Wallet, event: WalletEvent) -> Mapping[str, Balance]:
    match event:
        case BalanceAdded():
            return _moved(wallet.balances, event.currency, event.amount_minor)
        case BalanceDeducted(hold_id=None):
            return _moved(wallet.balances, event.currency, -event.amount_minor)
        case BalanceDeducted():
            return _moved(wallet.balances, event.currency, 0, held_minor=-event.amount_minor)
        case FundsHeld() | HoldReleased():
            held_minor = event.amount_minor if isinstance(event, FundsHeld) else -event.amount_minor
            return _moved(wallet.balances, event.currency, -held_minor, held_minor=held_minor)
        case LimitsChanged():
            return {
                currency: Balance(
                    before.available_minor,
                    before.held_minor,
                    event.overdraft_limits.get(currency, before.overdraft_limit_minor),
                )
                for currency, before in wallet.balances.items()
            }
        case _:
            return wallet.balances


def _holds_after(holds: Mapping[HoldId, Hold], event: WalletEvent) -> Mapping[HoldId, Hold]:
    match event:
        case FundsHeld():
            held = Hold(event.amount_minor, event.currency, event.payment_id, event.expires_ms)
            return {**holds, event.hold_id: held}
        case BalanceDeducted(hold_id=str(hold_id)):
            before = holds[HoldId(hold_id)]
            left_minor = before.amount_minor - event.amount_minor
            return {**holds, HoldId(hold_id): msgspec.structs.replace(before, amount_minor=left_minor)}
        case HoldCaptured(left_minor=0) | HoldReleased():
            return {hold_id: hold for hold_id, hold in holds.items() if hold_id != event.hold_id}
        case _:
            return holds


def _reopening_after(before: Reopening | None, event: WalletEvent) -> Reopening | None:
    match event:
        case WalletReopeningProposed():
            return Reopening(event.reason, event.by)
        case WalletReopened():
            return None
        case _:
            return before


def _moved(
    balances: Mapping[str, Balance], currency: str, change_minor: int, *, held_minor: int = 0
) -> Mapping[str, Balance]:
    """Return the balances with `change_minor` more available and `held_minor` more held."""
    before = balances[currency]
    after = Balance(
        before.available_minor + change_minor, before.held_minor + held_minor, before.overdraft_limit_minor
    )
    if len(balances) == 1:
        return {currency: after}
    return {**balances, currency: after}
