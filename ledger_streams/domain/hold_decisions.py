"""Decisions of a wallet on hold, capture, release and expire.

A capture never exceeds the hold.  A payment's own hold serves that payment only; it is captured
and released in every status of the wallet, since the provider has acted on it.  Payments that
name a caller's hold capture it while the wallet may pay.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.domain.commands import (
    CaptureHold,
    DeductFunds,
    ExpireHold,
    HoldCommand,
    HoldFunds,
    ReleaseHold,
    WalletCommand,
)
from ledger_streams.domain.events import (
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
    WalletReply,
)
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.wallet import Hold, Wallet, WalletStatus
from ledger_streams.domain.wallet_events import (
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    WalletCommandRefused,
    WalletEvent,
)
from ledger_streams.errors import InvariantBroken


class WalletDecision(msgspec.Struct, frozen=True, gc=False):
    """The wallet's events, and the reply to the saga when it was a leg of a payment."""

    events: tuple[WalletEvent, ...] = ()
    reply: WalletReply | None = None


NOTHING: Final = WalletDecision()
"""The wallet is in the requested state already, or there is no wallet to write an event for."""
HOLDS_MAX: Final = 1_000
"""Holds of one wallet at a time; each wallet event carries them all."""
EXPIRED: Final = "expired"


def decide_hold(wallet: Wallet | None, command: HoldCommand) -> WalletDecision:
    """Return the decision of `wallet` (None: not open yet) on `command`; pure."""
    match command:
        case HoldFunds():
            return _hold(wallet, command)
        case CaptureHold():
            return _capture(wallet, command)
        case ReleaseHold():
            return _release(wallet, command)
        case ExpireHold():
            hold = None if wallet is None else wallet.holds.get(command.hold_id)
            if wallet is None or hold is None or hold.expires_ms != command.expires_ms:
                return NOTHING
            return WalletDecision((_released(wallet, command, hold, EXPIRED),))


def deduction_refusal(wallet: Wallet | None, command: DeductFunds | HoldFunds) -> Reason | None:
    """Return why the wallet refuses a debit of its available money; None when it does not."""
    if wallet is None:
        return Reason.WALLET_NOT_FOUND
    balance = wallet.balances.get(command.currency)
    if balance is None:
        return Reason.CURRENCY_MISMATCH
    if wallet.status is WalletStatus.CLOSED:
        return Reason.WALLET_CLOSED
    if wallet.status is WalletStatus.FROZEN:
        return Reason.WALLET_FROZEN
    if balance.available_minor - command.amount_minor < -balance.overdraft_limit_minor:
        return Reason.INSUFFICIENT_FUNDS
    return None


def _refusal_detail(wallet: Wallet | None, command: HoldFunds, reason: Reason) -> str:
    """Return the refusal of a hold as text for people; amounts with all digits of their currency."""
    if wallet is None:
        return "there is no such wallet"
    if reason is Reason.CURRENCY_MISMATCH:
        return f"the wallet has no {command.currency}"
    if reason is not Reason.INSUFFICIENT_FUNDS:
        return f"the wallet is {wallet.status}"
    currency, balance = command.currency, wallet.balances[command.currency]
    asked, available, overdraft = (
        format_amount(minor, currency)
        for minor in (command.amount_minor, balance.available_minor, balance.overdraft_limit_minor)
    )
    return f"insufficient funds: {asked} {currency} asked, {available} available (overdraft {overdraft})"


def refused(wallet: Wallet, command: WalletCommand, reason: Reason, detail: str) -> WalletCommandRefused:
    """Return the event of an administrative command that the wallet refuses."""
    return WalletCommandRefused(wallet.wallet_id, wallet.version + 1, type(command).__name__, reason, detail)


def _hold(wallet: Wallet | None, command: HoldFunds) -> WalletDecision:
    known = None if wallet is None else wallet.holds.get(command.hold_id)
    if known is not None and command.payment_id is None and _is_as_asked(known, command):
        return NOTHING  # in every status of the wallet: the money is held
    reason = deduction_refusal(wallet, command)
    detail = "" if reason is None else _refusal_detail(wallet, command, reason)
    if known is not None:
        reason, detail = Reason.DUPLICATE_MISMATCH, "the wallet has another hold with this hold_id"
    elif wallet is not None and reason is None and len(wallet.holds) >= HOLDS_MAX:
        reason, detail = Reason.LIMIT_EXCEEDED, f"the wallet has {HOLDS_MAX} holds, the maximum"
    if reason is not None:
        return _hold_refused(wallet, command, reason, detail)
    assert wallet is not None
    amount_minor, currency, version = command.amount_minor, command.currency, wallet.version + 1
    held = FundsHeld(
        wallet.wallet_id,
        version,
        command.hold_id,
        amount_minor,
        currency,
        command.payment_id,
        command.expires_ms,
    )
    if command.payment_id is None or command.saga_version is None:
        return WalletDecision((held,))
    reply = WalletHeld(
        command.payment_id,
        command.saga_version,
        wallet.wallet_id,
        amount_minor,
        currency,
        version,
        command.hold_id,
    )
    return WalletDecision((held,), reply)


def _hold_refused(wallet: Wallet | None, command: HoldFunds, reason: Reason, detail: str) -> WalletDecision:
    if command.payment_id is not None and command.saga_version is not None:
        return WalletDecision(reply=_deduction_refused(wallet, command, reason))
    return NOTHING if wallet is None else WalletDecision((refused(wallet, command, reason, detail),))


def _is_as_asked(hold: Hold, command: HoldFunds) -> bool:
    return hold == Hold(command.amount_minor, command.currency, None, command.expires_ms)


def _deduction_refused(
    wallet: Wallet | None, command: HoldFunds | CaptureHold, reason: Reason
) -> WalletDeductionRefused:
    assert command.payment_id is not None, "a leg of a payment"
    assert command.saga_version is not None, "a leg of a payment"
    return WalletDeductionRefused(
        command.payment_id,
        command.saga_version,
        command.wallet_id,
        command.amount_minor,
        command.currency,
        wallet.version if wallet is not None else 0,
        reason,
    )


def _capture(wallet: Wallet | None, command: CaptureHold) -> WalletDecision:
    hold = None if wallet is None else wallet.holds.get(command.hold_id)
    reason = _capture_refusal(wallet, hold, command)
    if reason is not None:
        return WalletDecision(reply=_deduction_refused(wallet, command, reason))
    assert wallet is not None
    assert hold is not None
    amount_minor, currency, version = command.amount_minor, command.currency, wallet.version + 1
    deducted = BalanceDeducted(
        wallet.wallet_id,
        version,
        command.payment_id,
        amount_minor,
        currency,
        command.counterparty,
        command.hold_id,
    )
    captured = HoldCaptured(
        wallet.wallet_id,
        version + 1,
        command.hold_id,
        amount_minor,
        currency,
        command.payment_id,
        hold.amount_minor - amount_minor,
    )
    reply = WalletDeducted(
        command.payment_id, command.saga_version, wallet.wallet_id, amount_minor, currency, version + 1
    )
    return WalletDecision((deducted, captured), reply)


def _capture_refusal(wallet: Wallet | None, hold: Hold | None, command: CaptureHold) -> Reason | None:
    if wallet is None:
        return Reason.WALLET_NOT_FOUND
    is_own = hold is not None and hold.payment_id == command.payment_id
    if is_own and hold is not None and hold.amount_minor < command.amount_minor:
        raise InvariantBroken(f"payment {command.payment_id} holds less than it captures")
    if wallet.status is WalletStatus.FROZEN and not is_own:
        return Reason.WALLET_FROZEN
    if hold is None or not (is_own or hold.payment_id is None):
        return Reason.WALLET_CLOSED if wallet.status is WalletStatus.CLOSED else Reason.INSUFFICIENT_FUNDS
    if hold.currency != command.currency:
        return Reason.CURRENCY_MISMATCH
    return Reason.INSUFFICIENT_FUNDS if hold.amount_minor < command.amount_minor else None


def _release(wallet: Wallet | None, command: ReleaseHold) -> WalletDecision:
    hold = None if wallet is None else wallet.holds.get(command.hold_id)
    if command.payment_id is not None and command.saga_version is not None:
        if wallet is None or hold is None or hold.payment_id != command.payment_id:
            raise InvariantBroken(f"payment {command.payment_id} has no hold in {command.wallet_id}")
        reply = WalletReleased(
            command.payment_id,
            command.saga_version,
            wallet.wallet_id,
            hold.amount_minor,
            hold.currency,
            wallet.version + 1,
            command.hold_id,
        )
        return WalletDecision((_released(wallet, command, hold, command.reason),), reply)
    if wallet is None:
        return NOTHING
    if hold is None:
        return WalletDecision((refused(wallet, command, Reason.INVALID, "there is no such hold"),))
    if hold.payment_id is not None:
        return WalletDecision((refused(wallet, command, Reason.INVALID, "the hold is a payment's"),))
    return WalletDecision((_released(wallet, command, hold, command.reason),))


def _released(wallet: Wallet, command: ReleaseHold | ExpireHold, hold: Hold, reason: str) -> HoldReleased:
    return HoldReleased(
        wallet.wallet_id,
        wallet.version + 1,
        command.hold_id,
        hold.amount_minor,
        hold.currency,
        hold.payment_id,
        reason,
    )
