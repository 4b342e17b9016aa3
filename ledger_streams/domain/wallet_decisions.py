"""Decisions of a wallet on commands.

Every leg of a payment gets a reply.  An executed leg is a wallet event and a reply to the saga; a
refused leg is a reply only, since the wallet did not change.  A refused administrative command
is a wallet event, since no saga receives a reply.  A refusal never raises.  A wallet accepts
compensations in every status and with every balance.  hold_decisions decides on holds,
reopening on closed wallets with a balance.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger_streams.domain.commands import (
    AddFunds,
    AdministrativeCommand,
    ChangeLimits,
    CloseWallet,
    DeductFunds,
    FreezeWallet,
    HoldCommand,
    OpenWallet,
    ReopeningCommand,
    UnfreezeWallet,
    WalletCommand,
)
from ledger_streams.domain.events import (
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
)
from ledger_streams.domain.hold_decisions import (
    NOTHING,
    WalletDecision,
    decide_hold,
    deduction_refusal,
    refused,
)
from ledger_streams.domain.money import BALANCE_MINOR_MAX
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.reopening import decide_reopening
from ledger_streams.domain.wallet import Wallet, WalletStatus
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    LimitsChanged,
    WalletClosed,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletUnfrozen,
)


def decide(wallet: Wallet | None, command: WalletCommand) -> WalletDecision:
    """Return the decision of `wallet` (None: not open yet) on `command`; pure."""
    if isinstance(command, DeductFunds):
        return _deduct(wallet, command)
    if isinstance(command, AddFunds):
        return _add(wallet, command)
    if isinstance(command, HoldCommand):
        return decide_hold(wallet, command)
    if wallet is not None:
        event = _administer(wallet, command)
        return NOTHING if event is None else WalletDecision((event,))
    if isinstance(command, OpenWallet):
        limits = dict(command.overdraft_limits)
        opened = WalletOpened(command.wallet_id, 1, command.user_id, command.currencies, limits)
        return WalletDecision((opened,))
    return NOTHING


def _deduct(wallet: Wallet | None, command: DeductFunds) -> WalletDecision:
    payment_id, wallet_id = command.payment_id, command.wallet_id
    amount_minor, currency, saga_version = command.amount_minor, command.currency, command.saga_version
    reason = deduction_refusal(wallet, command)
    if reason is not None:
        version = wallet.version if wallet is not None else 0
        refused = WalletDeductionRefused(
            payment_id, saga_version, wallet_id, amount_minor, currency, version, reason
        )
        return WalletDecision(reply=refused)
    assert wallet is not None
    version = wallet.version + 1
    return WalletDecision(
        (BalanceDeducted(wallet_id, version, payment_id, amount_minor, currency, command.counterparty),),
        WalletDeducted(payment_id, saga_version, wallet_id, amount_minor, currency, version),
    )


def _add(wallet: Wallet | None, command: AddFunds) -> WalletDecision:
    payment_id, wallet_id = command.payment_id, command.wallet_id
    amount_minor, currency, saga_version = command.amount_minor, command.currency, command.saga_version
    compensates = command.compensates
    reason = _credit_refusal(wallet, command)
    if reason is not None:
        version = wallet.version if wallet is not None else 0
        refused = WalletCreditRefused(
            payment_id, saga_version, wallet_id, amount_minor, currency, version, reason, compensates
        )
        return WalletDecision(reply=refused)
    assert wallet is not None
    version = wallet.version + 1
    return WalletDecision(
        (BalanceAdded(wallet_id, version, payment_id, amount_minor, currency, command.counterparty),),
        WalletCredited(payment_id, saga_version, wallet_id, amount_minor, currency, version, compensates),
    )


def _credit_refusal(wallet: Wallet | None, command: AddFunds) -> Reason | None:
    if wallet is None:
        return Reason.WALLET_NOT_FOUND
    balance = wallet.balances.get(command.currency)
    if balance is None:
        return Reason.CURRENCY_MISMATCH
    if command.compensates:
        return None
    if wallet.status is WalletStatus.CLOSED:
        return Reason.WALLET_CLOSED
    if balance.balance_minor + command.amount_minor > BALANCE_MINOR_MAX:
        return Reason.LIMIT_EXCEEDED
    return None


def _administer(wallet: Wallet, command: AdministrativeCommand) -> WalletEvent | None:
    if isinstance(command, OpenWallet):
        return _open_again(wallet, command)
    if isinstance(command, ReopeningCommand):
        return decide_reopening(wallet, command)
    if wallet.status is WalletStatus.CLOSED:
        return refused(wallet, command, Reason.WALLET_CLOSED, "the wallet is closed for ever")
    match command:
        case FreezeWallet() | UnfreezeWallet():
            return _freeze_or_unfreeze(wallet, command)
        case CloseWallet():
            return _close(wallet, command)
        case ChangeLimits():
            return _change_limits(wallet, command)


def _open_again(wallet: Wallet, command: OpenWallet) -> WalletEvent | None:
    if _is_as_asked(wallet, command):
        return None
    return refused(wallet, command, Reason.DUPLICATE_MISMATCH, "the wallet is open with other content")


def _freeze_or_unfreeze(wallet: Wallet, command: FreezeWallet | UnfreezeWallet) -> WalletEvent | None:
    wanted = WalletStatus.FROZEN if isinstance(command, FreezeWallet) else WalletStatus.OPEN
    if wallet.status is wanted:
        return None
    event_type = WalletFrozen if wanted is WalletStatus.FROZEN else WalletUnfrozen
    return event_type(wallet.wallet_id, wallet.version + 1, command.reason)


def _close(wallet: Wallet, command: CloseWallet) -> WalletEvent:
    if any(balance.available_minor or balance.held_minor for balance in wallet.balances.values()):
        return refused(wallet, command, Reason.NOT_EMPTY, "a balance of the wallet is not zero")
    return WalletClosed(wallet.wallet_id, wallet.version + 1, command.reason)


def _change_limits(wallet: Wallet, command: ChangeLimits) -> WalletEvent | None:
    limits: Mapping[str, int] = command.overdraft_limits
    for currency, limit_minor in limits.items():
        balance = wallet.balances.get(currency)
        if balance is None:
            return refused(wallet, command, Reason.CURRENCY_MISMATCH, f"the wallet has no {currency}")
        if balance.available_minor < -limit_minor:
            return refused(
                wallet,
                command,
                Reason.LIMIT_EXCEEDED,
                f"the balance in {currency} is overdrawn by more than the new limit",
            )
    if all(wallet.balances[currency].overdraft_limit_minor == limit for currency, limit in limits.items()):
        return None
    return LimitsChanged(wallet.wallet_id, wallet.version + 1, dict(limits))


def _is_as_asked(wallet: Wallet, command: OpenWallet) -> bool:
    asked = {currency: command.overdraft_limits.get(currency, 0) for currency in command.currencies}
    limits = {currency: balance.overdraft_limit_minor for currency, balance in wallet.balances.items()}
    return wallet.user_id == command.user_id and limits == asked
