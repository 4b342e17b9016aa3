"""Wallet: its answers to commands, and its state after events; test_holds covers holds."""

from __future__ import annotations

import msgspec
import pytest

from ledger_streams.domain.commands import (
    AddFunds,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    FreezeWallet,
    OpenWallet,
    UnfreezeWallet,
    WalletCommand,
)
from ledger_streams.domain.events import (
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
)
from ledger_streams.domain.hold_decisions import NOTHING, WalletDecision
from ledger_streams.domain.money import BALANCE_MINOR_MAX
from ledger_streams.domain.wallet import Balance, Wallet, WalletStatus, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    LimitsChanged,
    WalletClosed,
    WalletCommandRefused,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletUnfrozen,
)
from ledger_streams.errors import InvariantBroken
from tests.model.samples import PAYMENT, SOURCE, TARGET, USER, opened

TRANSIT = Counterparty.TRANSIT


def deduct(amount_minor: int, currency: str = "EUR") -> DeductFunds:
    return DeductFunds(SOURCE, PAYMENT, amount_minor, currency, TRANSIT, 2)


def add(amount_minor: int, currency: str = "EUR", *, compensates: bool = False) -> AddFunds:
    return AddFunds(SOURCE, PAYMENT, amount_minor, currency, TRANSIT, 3, compensates)


def after(wallet: Wallet | None, *commands: WalletCommand) -> Wallet:
    for command in commands:
        events = decide(wallet, command).events
        assert events, command
        for event in events:
            wallet = evolve(wallet, event)
    assert wallet is not None
    return wallet


def refusal(wallet: Wallet | None, command: WalletCommand) -> str:
    decision = decide(wallet, command)
    (said,) = decision.events if decision.reply is None else (decision.reply,)
    assert isinstance(said, WalletDeductionRefused | WalletCreditRefused | WalletCommandRefused)
    assert not decision.events or decision.reply is None
    return said.reason


FROZEN = after(opened(), FreezeWallet(SOURCE, "fraud"))
CLOSED = after(opened(), CloseWallet(SOURCE, "left"))


def test_opening_makes_a_wallet_with_every_balance_zero() -> None:
    command = OpenWallet(SOURCE, USER, ("EUR", "JPY"), {"EUR": 500})
    opening = WalletOpened(SOURCE, 1, USER, ("EUR", "JPY"), {"EUR": 500})
    assert decide(None, command) == WalletDecision((opening,))
    expected = Wallet(
        SOURCE, USER, WalletStatus.OPEN, 1, {"EUR": Balance(0, 0, 500), "JPY": Balance(0, 0, 0)}
    )
    assert after(None, command) == expected


def test_opening_again_has_no_effect_with_the_same_content_and_is_refused_with_other() -> None:
    assert decide(opened(), OpenWallet(SOURCE, USER, ("EUR",), {})) == NOTHING
    assert decide(FROZEN, OpenWallet(SOURCE, USER, ("EUR",), {"EUR": 0})) == NOTHING
    for other in (
        OpenWallet(SOURCE, USER, ("EUR", "USD"), {}),
        OpenWallet(SOURCE, USER, ("EUR",), {"EUR": 1}),
        OpenWallet(SOURCE, USER, ("USD",), {}),
    ):
        assert refusal(opened(), other) == "duplicate_mismatch"


def test_a_deduction_is_an_event_and_a_reply() -> None:
    wallet = after(opened(), add(1000))
    decision = decide(wallet, deduct(400))
    assert decision.events == (BalanceDeducted(SOURCE, 3, PAYMENT, 400, "EUR", TRANSIT),)
    assert decision.reply == WalletDeducted(PAYMENT, 2, SOURCE, 400, "EUR", 3)
    assert after(wallet, deduct(400)).balances == {"EUR": Balance(600, 0, 0)}


def test_a_credit_is_an_event_and_a_reply() -> None:
    decision = decide(opened(), add(400))
    assert decision.events == (BalanceAdded(SOURCE, 2, PAYMENT, 400, "EUR", TRANSIT),)
    assert decision.reply == WalletCredited(PAYMENT, 3, SOURCE, 400, "EUR", 2, False)


def test_a_wallet_pays_its_balance_and_overdraft_but_no_more() -> None:
    wallet = after(opened(limit_minor=50), add(100))
    assert after(wallet, deduct(150)).balances["EUR"].available_minor == -50
    assert refusal(wallet, deduct(151)) == "insufficient_funds"


def test_held_money_is_not_spent() -> None:
    wallet = msgspec.structs.replace(opened(), balances={"EUR": Balance(10, 90, 0)})
    assert refusal(wallet, deduct(11)) == "insufficient_funds"
    assert wallet.balances["EUR"].balance_minor == 100


def test_a_refused_leg_is_a_reply_alone_at_the_version_the_wallet_has() -> None:
    decision = decide(opened(), deduct(1))
    assert decision.events == ()
    assert decision.reply == WalletDeductionRefused(PAYMENT, 2, SOURCE, 1, "EUR", 1, "insufficient_funds")
    missing = decide(None, add(1)).reply
    assert missing == WalletCreditRefused(PAYMENT, 3, SOURCE, 1, "EUR", 0, "wallet_not_found", False)


@pytest.mark.parametrize(
    ("wallet", "command", "reason"),
    [
        (None, deduct(1), "wallet_not_found"),
        (None, add(1), "wallet_not_found"),
        (opened(), deduct(1, "USD"), "currency_mismatch"),
        (opened(), add(1, "USD"), "currency_mismatch"),
        (FROZEN, deduct(1), "wallet_frozen"),
        (CLOSED, deduct(1), "wallet_closed"),
        (CLOSED, add(1), "wallet_closed"),
    ],
)
def test_a_leg_is_refused_with_its_reason(wallet: Wallet | None, command: WalletCommand, reason: str) -> None:
    assert refusal(wallet, command) == reason


def test_a_frozen_wallet_takes_credits() -> None:
    assert after(FROZEN, add(5)).balances["EUR"].available_minor == 5


def test_a_balance_has_a_limit_that_compensations_pass() -> None:
    wallet = msgspec.structs.replace(opened(), balances={"EUR": Balance(BALANCE_MINOR_MAX, 0, 0)})
    assert refusal(wallet, add(1)) == "limit_exceeded"
    assert after(wallet, add(1, compensates=True)).balances["EUR"].available_minor == BALANCE_MINOR_MAX + 1


@pytest.mark.parametrize("wallet", [FROZEN, CLOSED])
def test_frozen_and_closed_wallets_accept_compensations(wallet: Wallet) -> None:
    decision = decide(wallet, add(7, compensates=True))
    assert isinstance(decision.reply, WalletCredited)
    assert decision.reply.compensates
    assert after(wallet, add(7, compensates=True)).status is wallet.status


def test_freezing_and_unfreezing_are_events_once() -> None:
    assert FROZEN.status is WalletStatus.FROZEN
    assert decide(FROZEN, FreezeWallet(SOURCE, "again")) == NOTHING
    assert decide(opened(), UnfreezeWallet(SOURCE, "why")) == NOTHING
    assert after(FROZEN, UnfreezeWallet(SOURCE, "fine")).status is WalletStatus.OPEN


def test_only_an_empty_wallet_is_closed() -> None:
    assert CLOSED.status is WalletStatus.CLOSED
    assert after(FROZEN, CloseWallet(SOURCE, "left")).status is WalletStatus.CLOSED
    assert refusal(after(opened(), add(1)), CloseWallet(SOURCE, "left")) == "not_empty"
    indebted = after(opened(limit_minor=5), deduct(5))
    assert refusal(indebted, CloseWallet(SOURCE, "left")) == "not_empty"
    offsetting = msgspec.structs.replace(opened(), balances={"EUR": Balance(-5, 5, 5)})
    assert refusal(offsetting, CloseWallet(SOURCE, "left")) == "not_empty"


@pytest.mark.parametrize(
    "command",
    [
        FreezeWallet(SOURCE, "x"),
        UnfreezeWallet(SOURCE, "x"),
        CloseWallet(SOURCE, "x"),
        ChangeLimits(SOURCE, {"EUR": 1}),
    ],
)
def test_a_closed_wallet_refuses_administration_and_a_missing_one_writes_no_event(
    command: WalletCommand,
) -> None:
    assert refusal(CLOSED, command) == "wallet_closed"
    assert decide(None, command) == NOTHING


def test_a_refused_command_moves_the_version_alone() -> None:
    refused = after(CLOSED, FreezeWallet(SOURCE, "x"))
    assert refused == msgspec.structs.replace(CLOSED, version=CLOSED.version + 1)


def test_limits_change_for_the_currencies_named() -> None:
    wallet = opened(limit_minor=10, currencies=("EUR", "USD"))
    change = ChangeLimits(SOURCE, {"USD": 20})
    assert decide(wallet, change).events == (LimitsChanged(SOURCE, 2, {"USD": 20}),)
    changed = after(wallet, ChangeLimits(SOURCE, {"USD": 20}))
    assert [b.overdraft_limit_minor for b in changed.balances.values()] == [10, 20]
    assert decide(changed, ChangeLimits(SOURCE, {"USD": 20, "EUR": 10})) == NOTHING
    assert refusal(wallet, ChangeLimits(SOURCE, {"JPY": 1})) == "currency_mismatch"


def test_a_limit_does_not_fall_below_the_used_overdraft() -> None:
    indebted = after(opened(limit_minor=10), deduct(7))
    assert refusal(indebted, ChangeLimits(SOURCE, {"EUR": 6})) == "limit_exceeded"
    assert after(indebted, ChangeLimits(SOURCE, {"EUR": 7})).balances["EUR"] == Balance(-7, 0, 7)


@pytest.mark.parametrize(
    ("wallet", "event"),
    [
        (None, WalletFrozen(SOURCE, 1, "x")),
        (None, WalletOpened(SOURCE, 2, USER, ("EUR",), {})),
        (opened(), WalletFrozen(SOURCE, 3, "a gap")),
        (opened(), WalletUnfrozen(SOURCE, 1, "a repetition")),
        (opened(), WalletClosed(TARGET, 2, "another wallet")),
        (opened(), WalletOpened(SOURCE, 2, USER, ("EUR",), {})),
    ],
)
def test_an_event_that_is_not_the_next_one_breaks_the_invariant(
    wallet: Wallet | None, event: WalletEvent
) -> None:
    with pytest.raises(InvariantBroken):
        evolve(wallet, event)


def test_evolve_does_not_change_the_given_wallet() -> None:
    wallet = opened(currencies=("EUR", "USD"))
    before = msgspec.json.encode(wallet)
    after(wallet, add(100))
    assert msgspec.json.encode(wallet) == before
