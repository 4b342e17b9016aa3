"""The contract's `wallet` object: a wallet's state as every record on wallet-events carries it.

Each amount is a decimal string.  The object also has `balance`, the sum of available and held,
for readers that do not calculate.  A wallet without holds has no `holds`, and a wallet without
a reopening proposal no `reopening`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ledger_streams.domain.ids import HoldId, UserId, WalletId
from ledger_streams.domain.money import format_amount, invalid, parse_balance
from ledger_streams.domain.wallet import Balance, Reopening, Wallet, WalletStatus
from ledger_streams.wire.hold_events import HoldObject, hold_objects, holds_of


class BalanceObject(msgspec.Struct, frozen=True, gc=False):
    """One currency in the contract's `wallet` object."""

    available: str
    held: str
    balance: str
    overdraft_limit: str


class ReopeningObject(msgspec.Struct, frozen=True, gc=False):
    """A proposal to reopen a closed wallet, in the contract's `wallet` object."""

    reason: str
    by: str


class WalletObject(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The contract's `wallet` object, ready to encode."""

    user_id: UserId
    status: WalletStatus
    version: int
    balances: dict[str, BalanceObject]
    holds: dict[HoldId, HoldObject] = {}
    reopening: ReopeningObject | None = None


def wallet_of(wallet_id: WalletId, state: WalletObject) -> Wallet:
    """Return the wallet of an object; raises Unreadable."""
    try:
        balances = {
            currency: Balance(
                parse_balance(balance.available, currency),
                parse_balance(balance.held, currency),
                parse_balance(balance.overdraft_limit, currency),
            )
            for currency, balance in state.balances.items()
        }
        holds = holds_of(state.holds) if state.holds else {}
    except (KeyError, ValueError):
        raise invalid("wallet", "has an amount that is not a decimal string of a known currency") from None
    proposed = state.reopening
    reopening = None if proposed is None else Reopening(proposed.reason, proposed.by)
    return Wallet(wallet_id, state.user_id, state.status, state.version, balances, holds, reopening)


def wallet_object(wallet: Wallet) -> WalletObject:
    """Return the contract's `wallet` object of a state."""
    balances, holds = _balance_objects(wallet.balances), hold_objects(wallet.holds) if wallet.holds else {}
    proposed = wallet.reopening
    reopening = None if proposed is None else ReopeningObject(proposed.reason, proposed.by)
    return WalletObject(wallet.user_id, wallet.status, wallet.version, balances, holds, reopening)


def _balance_objects(balances: Mapping[str, Balance]) -> dict[str, BalanceObject]:
    return {
        currency: BalanceObject(
            format_amount(balance.available_minor, currency),
            format_amount(balance.held_minor, currency),
            format_amount(balance.balance_minor, currency),
            format_amount(balance.overdraft_limit_minor, currency),
        )
        for currency, balance in balances.items()
    }
