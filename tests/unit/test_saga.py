"""Saga: the course of a payment between wallets, step by step, to each of its ends.

test_saga_providers covers providers, test_refunds covers refunds.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger_streams.domain.answers import ProviderApproved, RefundRefused
from ledger_streams.domain.commands import AddFunds, CaptureHold, Counterparty, DeductFunds
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    Reply,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaFailed,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReply,
)
from ledger_streams.domain.ids import HoldId
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.decisions import NOTHING, SagaDecision, decide, decide_due
from ledger_streams.domain.saga.transitions import (
    ENDS,
    NEXT,
    START,
    Course,
    SagaStatus,
    course_back,
    course_of,
)
from ledger_streams.errors import InvariantBroken
from tests.model.samples import (
    AT_MS,
    HOLD,
    PAYMENT,
    REFUND,
    SOURCE,
    TARGET,
    USER,
    content,
    deposit,
    refund,
    started,
    withdrawal,
)
from tests.unit.saga_course import run

TRANSIT, EXTERNAL = Counterparty.TRANSIT, Counterparty.EXTERNAL
DEDUCTED = WalletDeducted(PAYMENT, 2, SOURCE, 1025, "EUR", 7)
NOT_DEDUCTED = WalletDeductionRefused(PAYMENT, 2, SOURCE, 1025, "EUR", 6, "insufficient_funds")
CREDITED = WalletCredited(PAYMENT, 3, TARGET, 1025, "EUR", 4)
NOT_CREDITED = WalletCreditRefused(PAYMENT, 3, TARGET, 1025, "EUR", 3, "wallet_closed")
GIVEN_BACK = WalletCredited(PAYMENT, 4, SOURCE, 1025, "EUR", 8, True)


def test_a_transfer_begins_with_the_deduction() -> None:
    saga, decision = run(started())
    assert saga.status is SagaStatus.DEDUCTING
    assert decision == SagaDecision(saga, (DeductFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 2),))


def test_the_credit_follows_the_deduction() -> None:
    saga, decision = run(started(), DEDUCTED)
    assert saga.status is SagaStatus.CREDITING
    assert decision == SagaDecision(saga, (AddFunds(TARGET, PAYMENT, 1025, "EUR", TRANSIT, 3, False),))


def test_a_credited_transfer_completes_with_the_versions_of_both_wallets() -> None:
    saga, decision = run(started(), DEDUCTED, CREDITED)
    assert (saga.status, saga.version) == (SagaStatus.COMPLETED, 4)
    assert decision.commands == ()
    assert decision.events == (SagaCompleted(PAYMENT, 4, 1025, "EUR"),)
    wallets: dict[str, int] = {SOURCE: 7, TARGET: 4}
    assert decision.outcome == PaymentCompleted(
        PAYMENT, PaymentKind.TRANSFER, 1025, "EUR", SOURCE, TARGET, wallets
    )


def test_a_refused_deduction_fails_the_payment_and_touches_no_wallet() -> None:
    saga, decision = run(started(), NOT_DEDUCTED)
    assert saga.status is SagaStatus.FAILED
    assert decision.events == (SagaFailed(PAYMENT, 3, "insufficient_funds", 1025, "EUR"),)
    assert decision.outcome == PaymentFailed(PAYMENT, "insufficient_funds", {})


def test_a_refused_credit_is_compensated() -> None:
    saga, decision = run(started(), DEDUCTED, NOT_CREDITED)
    assert saga.status is SagaStatus.COMPENSATING
    assert decision == SagaDecision(saga, (AddFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 4, True),))


def test_a_compensated_payment_fails_with_the_reason_of_the_refusal() -> None:
    saga, decision = run(started(), DEDUCTED, NOT_CREDITED, GIVEN_BACK)
    assert (saga.status, saga.version) == (SagaStatus.COMPENSATED, 6)
    assert decision.events == (
        SagaCompensated(PAYMENT, 5, 1025, "EUR", "wallet_closed"),
        SagaFailed(PAYMENT, 6, "wallet_closed", 1025, "EUR"),
    )
    assert decision.outcome == PaymentFailed(PAYMENT, "wallet_closed", {SOURCE: 8})


def test_a_deposit_is_one_credit_from_outside() -> None:
    saga, decision = run(started(deposit()))
    assert decision.commands == (AddFunds(TARGET, PAYMENT, 1025, "EUR", EXTERNAL, 2, False),)
    done = decide(saga, msgspec.structs.replace(CREDITED, version=2), at_ms=AT_MS)
    assert isinstance(done.outcome, PaymentCompleted)
    assert done.outcome.wallets == {TARGET: 4}
    refused = decide(saga, msgspec.structs.replace(NOT_CREDITED, version=2), at_ms=AT_MS)
    assert refused.outcome == PaymentFailed(PAYMENT, "wallet_closed", {})


def test_a_withdrawal_is_one_deduction_to_the_outside() -> None:
    saga, decision = run(started(withdrawal()))
    assert decision.commands == (DeductFunds(SOURCE, PAYMENT, 1025, "EUR", EXTERNAL, 2),)
    done = decide(saga, DEDUCTED, at_ms=AT_MS)
    assert isinstance(done.outcome, PaymentCompleted)
    assert done.outcome.wallets == {SOURCE: 7}


def test_a_payment_that_never_started_fails_without_a_saga() -> None:
    never = SagaFailed(PAYMENT, 1, "invalid", detail="data.amount: must be positive")
    outcome = PaymentFailed(PAYMENT, "invalid", {}, "data.amount: must be positive")
    assert decide(None, never, at_ms=AT_MS) == SagaDecision(outcome=outcome)
    saga, _ = run(started())
    assert decide(saga, never, at_ms=AT_MS) == NOTHING


@pytest.mark.parametrize(
    "events",
    [
        (started(), DEDUCTED, CREDITED),
        (started(), NOT_DEDUCTED),
        (started(), DEDUCTED, NOT_CREDITED, GIVEN_BACK),
    ],
)
def test_repeated_events_and_the_saga_s_own_events_have_no_effect(events: tuple[SagaEvent, ...]) -> None:
    for seen in range(1, len(events) + 1):
        saga, decision = run(*events[:seen])
        for again in (*events[:seen], *decision.events):
            assert decide(saga, again, at_ms=AT_MS) == NOTHING


def test_the_saga_s_own_events_have_no_effect_when_the_saga_is_unknown() -> None:
    for own in (SagaCompleted(PAYMENT, 4, 1, "EUR"), SagaFailed(PAYMENT, 3, "wallet_closed", 1, "EUR")):
        assert decide(None, own, at_ms=AT_MS) == NOTHING


@pytest.mark.parametrize("reply", [DEDUCTED, NOT_DEDUCTED, CREDITED, NOT_CREDITED])
def test_a_reply_without_a_saga_breaks_the_invariant(reply: WalletReply) -> None:
    with pytest.raises(InvariantBroken):
        decide(None, reply, at_ms=AT_MS)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 3},
        {"version": 1},
        {"version": 0},
        {"version": -1},
        {"wallet_id": TARGET},
        {"wallet_id": USER},
        {"amount_minor": 1},
        {"currency": "USD"},
    ],
)
def test_a_reply_that_is_not_the_awaited_one_breaks_the_invariant(changes: dict[str, Any]) -> None:
    saga, _ = run(started())
    with pytest.raises(InvariantBroken):
        decide(saga, msgspec.structs.replace(DEDUCTED, **changes), at_ms=AT_MS)


def test_the_opposite_of_an_accepted_answer_breaks_the_invariant() -> None:
    saga, _ = run(started(), DEDUCTED)
    with pytest.raises(InvariantBroken):
        decide(saga, NOT_DEDUCTED, at_ms=AT_MS)


def test_a_compensation_that_a_wallet_refused_breaks_the_invariant() -> None:
    saga, _ = run(started(), DEDUCTED, NOT_CREDITED)
    refused = WalletCreditRefused(PAYMENT, 4, SOURCE, 1025, "EUR", 8, "currency_mismatch", True)
    with pytest.raises(InvariantBroken):
        decide(saga, refused, at_ms=AT_MS)


@pytest.mark.parametrize(
    "reply",
    [
        ProviderApproved(PAYMENT, 2, "acme", 1025, "EUR"),
        RefundRefused(PAYMENT, 2, REFUND, "invalid", "no"),
        WalletHeld(PAYMENT, 2, SOURCE, 1025, "EUR", 7, HoldId(PAYMENT)),
    ],
)
def test_an_answer_of_another_course_breaks_the_invariant(reply: Reply) -> None:
    saga, _ = run(started())
    with pytest.raises(InvariantBroken):
        decide(saga, reply, at_ms=AT_MS)


def test_money_out_of_a_hold_is_captured_and_goes_the_same_way() -> None:
    saga, decision = run(started(content(hold_id=HOLD)))
    assert decision.commands == (CaptureHold(SOURCE, PAYMENT, HOLD, 1025, "EUR", TRANSIT, 2),)
    _, credited = run(started(content(hold_id=HOLD)), DEDUCTED)
    assert credited.commands == (AddFunds(TARGET, PAYMENT, 1025, "EUR", TRANSIT, 3, False),)
    _, back = run(started(content(hold_id=HOLD)), DEDUCTED, NOT_CREDITED)
    assert back.commands == (AddFunds(SOURCE, PAYMENT, 1025, "EUR", TRANSIT, 4, True),)
    assert saga.hold_id == HOLD


def test_a_withdrawal_out_of_a_hold_is_one_capture_or_fails() -> None:
    saga, decision = run(started(withdrawal(hold_id=HOLD)))
    assert decision.commands == (CaptureHold(SOURCE, PAYMENT, HOLD, 1025, "EUR", EXTERNAL, 2),)
    assert isinstance(decide(saga, DEDUCTED, at_ms=AT_MS).outcome, PaymentCompleted)
    refused = decide(saga, NOT_DEDUCTED, at_ms=AT_MS)
    assert refused.outcome == PaymentFailed(PAYMENT, "insufficient_funds", {})


def test_sagas_without_a_provider_have_no_deadline() -> None:
    for data in (content(), deposit(), withdrawal(), content(hold_id=HOLD), refund()):
        saga, _ = run(started(data))
        assert (saga.due_ms, saga.give_up_ms) == (None, None)
        assert decide_due(saga, AT_MS) == NOTHING
    assert decide_due(None, AT_MS) == NOTHING


def test_the_saga_knows_when_it_began_and_when_it_last_moved() -> None:
    saga, _ = run(started(), DEDUCTED, CREDITED)
    assert (saga.started_ms, saga.updated_ms) == (AT_MS, AT_MS + 2)


def test_no_end_has_a_next_status_and_every_other_has_one() -> None:
    going_on = {status for _, status, _ in NEXT}
    assert going_on.isdisjoint(ENDS)
    assert going_on | ENDS == set(SagaStatus)


def test_every_kind_of_saga_starts_in_a_status_with_a_next_one_and_every_refund_has_a_way() -> None:
    for course, status in START.items():
        assert any((way, at) == (course, status) for way, at, _ in NEXT)
    assert course_of(PaymentKind.DEPOSIT, "acme") is Course.PROVIDER_DEPOSIT
    assert course_of(PaymentKind.REFUND, None) is Course.REFUND
    assert course_back(PaymentKind.TRANSFER, None) is Course.TRANSFER
    assert course_back(PaymentKind.DEPOSIT, None) is Course.WITHDRAWAL
    assert course_back(PaymentKind.DEPOSIT, "acme") is Course.PROVIDER_WITHDRAWAL
    assert course_back(PaymentKind.WITHDRAWAL, "acme") is Course.PROVIDER_DEPOSIT


def test_money_that_a_provider_may_have_moved_is_not_compensated() -> None:
    for course in (Course.PROVIDER_DEPOSIT, Course.PROVIDER_WITHDRAWAL):
        ways = {(status, reply.__name__): to for (way, status, reply), to in NEXT.items() if way is course}
        assert SagaStatus.COMPENSATING not in ways.values()
        for status in (SagaStatus.ASKING, SagaStatus.CANCELLING):
            assert ways[status, "ProviderTimedOut"] is status
