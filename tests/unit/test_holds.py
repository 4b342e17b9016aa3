"""Holds: money set aside in a wallet, taken out of it in whole or in part, and made available again."""

from __future__ import annotations

import msgspec
import pytest

from ledger_streams.domain.commands import (
    AddFunds,
    CaptureHold,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    ExpireHold,
    FreezeWallet,
    HoldFunds,
    ReleaseHold,
    WalletCommand,
)
from ledger_streams.domain.events import (
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.hold_decisions import EXPIRED, HOLDS_MAX, NOTHING, WalletDecision
from ledger_streams.domain.ids import HoldId, PaymentId, derived_id
from ledger_streams.domain.wallet import Balance, Hold, Wallet, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import (
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    WalletCommandRefused,
)
from ledger_streams.errors import InvariantBroken
from tests.model.samples import EXPIRES_MS, HOLD, PAYMENT, SOURCE, opened

EXTERNAL = Counterparty.EXTERNAL
OWN = HoldId(PAYMENT)
OTHER_PAYMENT = PaymentId(derived_id("other payment"))


def hold(amount_minor: int, hold_id: HoldId = HOLD, expires_ms: int | None = EXPIRES_MS) -> HoldFunds:
    """Return the command of a caller."""
    return HoldFunds(SOURCE, hold_id, amount_minor, "EUR", None, None, expires_ms)


def own_hold(amount_minor: int) -> HoldFunds:
    """Return the command of a payment's saga."""
    return HoldFunds(SOURCE, OWN, amount_minor, "EUR", PAYMENT, 2)


def capture(amount_minor: int, hold_id: HoldId = HOLD, payment_id: PaymentId = PAYMENT) -> CaptureHold:
    return CaptureHold(SOURCE, payment_id, hold_id, amount_minor, "EUR", EXTERNAL, 4)


def after(wallet: Wallet | None, *commands: WalletCommand) -> Wallet:
    for command in commands:
        events = decide(wallet, command).events
        assert events, command
        for event in events:
            assert not isinstance(event, WalletCommandRefused), event
            wallet = evolve(wallet, event)
    assert wallet is not None
    return wallet


def refusal(wallet: Wallet | None, command: WalletCommand) -> str:
    decision = decide(wallet, command)
    (said,) = decision.events if decision.reply is None else (decision.reply,)
    assert isinstance(said, WalletDeductionRefused | WalletCommandRefused)
    return said.reason


RICH = after(opened(), AddFunds(SOURCE, PAYMENT, 1000, "EUR", EXTERNAL, 2))
HOLDING = after(RICH, hold(600))
OWN_HOLDING = after(RICH, own_hold(600))


def test_a_hold_moves_money_from_available_to_held_and_the_balance_stays() -> None:
    assert decide(RICH, hold(600)) == WalletDecision(
        (FundsHeld(SOURCE, 3, HOLD, 600, "EUR", None, EXPIRES_MS),)
    )
    assert HOLDING.balances["EUR"] == Balance(400, 600, 0)
    assert HOLDING.balances["EUR"].balance_minor == 1000
    assert HOLDING.holds == {HOLD: Hold(600, "EUR", None, EXPIRES_MS)}


def test_a_payment_s_hold_is_answered_and_never_expires() -> None:
    decision = decide(RICH, own_hold(600))
    assert decision.events == (FundsHeld(SOURCE, 3, OWN, 600, "EUR", PAYMENT, None),)
    assert decision.reply == WalletHeld(PAYMENT, 2, SOURCE, 600, "EUR", 3, OWN)


def test_held_money_is_neither_spent_nor_held_twice() -> None:
    for command in (
        DeductFunds(SOURCE, PAYMENT, 401, "EUR", EXTERNAL, 2),
        hold(401, HoldId(derived_id("another"))),
        own_hold(401),
    ):
        assert refusal(HOLDING, command) == "insufficient_funds"
    assert after(HOLDING, own_hold(400)).balances["EUR"] == Balance(0, 1000, 0)


def test_a_hold_may_use_the_overdraft() -> None:
    wallet = after(opened(limit_minor=50), hold(50))
    assert wallet.balances["EUR"] == Balance(-50, 50, 50)
    assert refusal(opened(limit_minor=50), hold(51)) == "insufficient_funds"
    assert refusal(wallet, ChangeLimits(SOURCE, {"EUR": 49})) == "limit_exceeded"


@pytest.mark.parametrize("command", [hold(1), own_hold(1)])
def test_a_wallet_that_may_not_pay_holds_nothing(command: HoldFunds) -> None:
    assert refusal(after(RICH, FreezeWallet(SOURCE, "fraud")), command) == "wallet_frozen"
    assert refusal(after(opened(), CloseWallet(SOURCE, "left")), command) == "wallet_closed"
    assert refusal(opened(currencies=("USD",)), command) == "currency_mismatch"


def test_a_missing_or_closed_wallet_refuses_payments_and_writes_no_event_for_callers() -> None:
    reply = WalletDeductionRefused(PAYMENT, 2, SOURCE, 5, "EUR", 0, "wallet_not_found")
    assert decide(None, own_hold(5)) == WalletDecision(reply=reply)
    assert decide(None, hold(5)) == NOTHING


def test_a_repeated_hold_has_no_effect_even_with_all_money_held_or_a_frozen_wallet() -> None:
    everything = after(RICH, hold(1000))
    assert decide(everything, hold(1000)) == NOTHING
    assert decide(after(everything, FreezeWallet(SOURCE, "fraud")), hold(1000)) == NOTHING


@pytest.mark.parametrize(
    "other", [hold(601), hold(600, expires_ms=None), HoldFunds(SOURCE, HOLD, 600, "EUR", PAYMENT, 2)]
)
def test_another_hold_under_a_known_id_is_refused(other: HoldFunds) -> None:
    assert refusal(HOLDING, other) == "duplicate_mismatch"


def test_a_wallet_has_a_thousand_holds_at_most() -> None:
    holds = {HoldId(derived_id(str(number))): Hold(1, "EUR") for number in range(HOLDS_MAX)}
    full = msgspec.structs.replace(RICH, holds=holds)
    assert refusal(full, hold(1)) == refusal(full, own_hold(1)) == "limit_exceeded"


@pytest.mark.parametrize(("wallet", "hold_id"), [(HOLDING, HOLD), (OWN_HOLDING, OWN)])
def test_a_capture_is_a_deduction_from_the_held_amount_followed_by_the_hold_s_event(
    wallet: Wallet, hold_id: HoldId
) -> None:
    decision = decide(wallet, capture(600, hold_id))
    assert decision.events == (
        BalanceDeducted(SOURCE, 4, PAYMENT, 600, "EUR", EXTERNAL, hold_id),
        HoldCaptured(SOURCE, 5, hold_id, 600, "EUR", PAYMENT, 0),
    )
    assert decision.reply == WalletDeducted(PAYMENT, 4, SOURCE, 600, "EUR", 5)
    assert after(wallet, capture(600, hold_id)) == msgspec.structs.replace(
        RICH, version=5, balances={"EUR": Balance(400, 0, 0)}
    )


def test_a_hold_is_captured_in_parts_and_the_rest_stays_held() -> None:
    part = after(HOLDING, capture(250))
    assert part.holds == {HOLD: Hold(350, "EUR", None, EXPIRES_MS)}
    assert part.balances["EUR"] == Balance(400, 350, 0)
    rest = after(part, capture(350, payment_id=OTHER_PAYMENT))
    assert (rest.holds, rest.balances["EUR"]) == ({}, Balance(400, 0, 0))


def test_a_capture_never_exceeds_the_hold_even_if_more_is_available() -> None:
    assert refusal(after(RICH, hold(300)), capture(301)) == "insufficient_funds"
    assert refusal(after(HOLDING, capture(600)), capture(1)) == "insufficient_funds"
    with pytest.raises(InvariantBroken):
        decide(OWN_HOLDING, capture(601, OWN))


def test_a_payment_s_own_hold_serves_that_payment_alone() -> None:
    assert refusal(OWN_HOLDING, capture(1, OWN, OTHER_PAYMENT)) == "insufficient_funds"


def test_a_capture_is_refused_with_its_reason() -> None:
    assert refusal(None, capture(1)) == "wallet_not_found"
    assert refusal(RICH, capture(1)) == "insufficient_funds"
    assert refusal(after(opened(), CloseWallet(SOURCE, "left")), capture(1)) == "wallet_closed"
    dollars = msgspec.structs.replace(capture(1), currency="USD")
    assert refusal(HOLDING, dollars) == "currency_mismatch"


def test_a_frozen_wallet_keeps_a_caller_s_hold_but_not_what_a_provider_has_paid_out() -> None:
    assert refusal(after(HOLDING, FreezeWallet(SOURCE, "fraud")), capture(1)) == "wallet_frozen"
    frozen = after(OWN_HOLDING, FreezeWallet(SOURCE, "fraud"))
    assert after(frozen, capture(600, OWN)).balances["EUR"] == Balance(400, 0, 0)
    assert after(frozen, ReleaseHold(SOURCE, OWN, "declined", PAYMENT, 4)).balances["EUR"].held_minor == 0


def test_a_wallet_with_a_hold_is_not_closed() -> None:
    emptied = after(HOLDING, DeductFunds(SOURCE, PAYMENT, 400, "EUR", EXTERNAL, 2))
    assert refusal(emptied, CloseWallet(SOURCE, "left")) == "not_empty"


def test_a_release_makes_the_rest_available() -> None:
    part = after(HOLDING, capture(250))
    released = HoldReleased(SOURCE, 6, HOLD, 350, "EUR", None, "changed my mind")
    assert decide(part, ReleaseHold(SOURCE, HOLD, "changed my mind")) == WalletDecision((released,))
    back = evolve(part, released)
    assert (back.holds, back.balances["EUR"]) == ({}, Balance(750, 0, 0))


def test_a_payment_s_release_is_answered() -> None:
    decision = decide(OWN_HOLDING, ReleaseHold(SOURCE, OWN, "declined", PAYMENT, 4))
    assert decision.events == (HoldReleased(SOURCE, 4, OWN, 600, "EUR", PAYMENT, "declined"),)
    assert decision.reply == WalletReleased(PAYMENT, 4, SOURCE, 600, "EUR", 4, OWN)


def test_a_caller_releases_only_holds_of_callers() -> None:
    assert refusal(RICH, ReleaseHold(SOURCE, HOLD, "x")) == "invalid"
    assert refusal(OWN_HOLDING, ReleaseHold(SOURCE, OWN, "x")) == "invalid"
    assert decide(None, ReleaseHold(SOURCE, HOLD, "x")) == NOTHING


@pytest.mark.parametrize("wallet", [None, RICH, after(RICH, hold(5, OWN))])
def test_a_payment_s_release_without_a_hold_breaks_the_invariant(wallet: Wallet | None) -> None:
    with pytest.raises(InvariantBroken):
        decide(wallet, ReleaseHold(SOURCE, OWN, "declined", PAYMENT, 4))


def test_an_expired_hold_is_released_in_every_status_of_the_wallet() -> None:
    expiry = ExpireHold(SOURCE, HOLD, EXPIRES_MS)
    for wallet in (HOLDING, after(HOLDING, FreezeWallet(SOURCE, "fraud"))):
        decision = decide(wallet, expiry)
        version = wallet.version + 1
        assert decision == WalletDecision((HoldReleased(SOURCE, version, HOLD, 600, "EUR", None, EXPIRED),))


def test_an_expiry_with_another_time_than_the_hold_s_has_no_effect() -> None:
    expiry = ExpireHold(SOURCE, HOLD, EXPIRES_MS)
    later = after(RICH, hold(600, expires_ms=EXPIRES_MS + 1))
    for wallet in (None, RICH, later, after(HOLDING, expiry), after(HOLDING, capture(600))):
        assert decide(wallet, expiry) == NOTHING
