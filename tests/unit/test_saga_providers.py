"""Saga with a provider: it repeats the order until the outcome is known, and cancels it at the deadline."""

from __future__ import annotations

import msgspec
import pytest

from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, ProviderReply, ProviderTimedOut
from ledger_streams.domain.commands import AddFunds, CaptureHold, Counterparty, HoldFunds, ReleaseHold
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    SagaCompleted,
    SagaFailed,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.ids import HoldId, PaymentId, derived_id
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import CancelPayment, CarryOutPayment, SettlePayment
from ledger_streams.domain.saga.decisions import NOTHING, SagaDecision, decide, decide_due, decide_settlement
from ledger_streams.domain.saga.state import (
    ASK_AGAIN_MS,
    ASK_AGAIN_MS_MAX,
    CANCEL_AGAIN_MS_MAX,
    PATIENCE_MS,
    Saga,
    evolve,
)
from ledger_streams.domain.saga.transitions import SagaStatus
from ledger_streams.errors import InvariantBroken, Unreadable
from tests.model.samples import AT_MS, PAYMENT, SOURCE, TARGET, deposit, started, withdrawal
from tests.unit.saga_course import past, run

EXTERNAL, OWN_HOLD = Counterparty.EXTERNAL, HoldId(PAYMENT)
DEPOSIT = started(deposit(provider="acme"))
WITHDRAWAL = started(withdrawal(provider="acme"))
HELD = WalletHeld(PAYMENT, 2, SOURCE, 1025, "EUR", 7, OWN_HOLD)


def approved(version: int) -> ProviderApproved:
    return ProviderApproved(PAYMENT, version, "acme", 1025, "EUR", "acme-1")


def declined(version: int, reason: str = "provider_declined") -> ProviderDeclined:
    return ProviderDeclined(PAYMENT, version, "acme", 1025, "EUR", reason)


def timed_out(version: int) -> ProviderTimedOut:
    return ProviderTimedOut(PAYMENT, version, "acme", 1025, "EUR")


def asked(version: int, attempt: int, kind: PaymentKind = PaymentKind.DEPOSIT) -> CarryOutPayment:
    return CarryOutPayment(PAYMENT, "acme", kind, 1025, "EUR", version, attempt)


def cancelled(version: int, attempt: int, reason: str = "provider_timeout") -> CancelPayment:
    return CancelPayment(PAYMENT, "acme", 1025, "EUR", version, attempt, reason)


def out_of_time(saga: Saga) -> tuple[Saga, SagaDecision]:
    """Return the saga as it gives up, having heard nothing more."""
    saga, decision = past(saga)
    while saga.status is SagaStatus.ASKING:
        saga, decision = past(saga)
    return saga, decision


def test_a_deposit_orders_from_the_provider_first_and_waits_until_its_deadline() -> None:
    saga, decision = run(DEPOSIT)
    assert decision == SagaDecision(saga, (asked(2, 1),))
    assert (saga.status, saga.due_ms, saga.give_up_ms) == (
        SagaStatus.ASKING,
        AT_MS + PATIENCE_MS,
        AT_MS + PATIENCE_MS,
    )


def test_an_approved_deposit_is_credited_and_completes() -> None:
    saga, decision = run(DEPOSIT, approved(2))
    assert decision.commands == (AddFunds(TARGET, PAYMENT, 1025, "EUR", EXTERNAL, 3, False),)
    assert (saga.status, saga.due_ms, saga.give_up_ms) == (SagaStatus.CREDITING, None, None)
    saga, decision = run(DEPOSIT, approved(2), WalletCredited(PAYMENT, 3, TARGET, 1025, "EUR", 4))
    assert decision.events == (SagaCompleted(PAYMENT, 4, 1025, "EUR"),)
    assert isinstance(decision.outcome, PaymentCompleted)
    assert decision.outcome.wallets == {TARGET: 4}


def test_a_declined_deposit_fails_with_the_provider_s_reason() -> None:
    saga, decision = run(DEPOSIT, declined(2))
    assert (saga.status, saga.due_ms) == (SagaStatus.FAILED, None)
    assert decision.commands == ()
    assert decision.outcome == PaymentFailed(PAYMENT, "provider_declined", {})


def test_a_deposit_that_the_wallet_refuses_after_approval_is_cancelled_with_the_provider() -> None:
    refused = WalletCreditRefused(PAYMENT, 3, TARGET, 1025, "EUR", 3, "wallet_closed")
    saga, decision = run(DEPOSIT, approved(2), refused)
    assert (saga.status, saga.attempts, saga.due_ms) == (SagaStatus.CANCELLING, 1, None)
    assert decision.commands == (cancelled(4, 1, "wallet_closed"),)
    assert decision.outcome is None
    saga, decision = run(DEPOSIT, approved(2), refused, declined(4, "wallet_closed"))
    assert decision.events == (SagaFailed(PAYMENT, 5, "wallet_closed", 1025, "EUR"),)
    assert decision.outcome == PaymentFailed(PAYMENT, "wallet_closed", {})


def test_a_withdrawal_holds_the_money_before_the_order() -> None:
    saga, decision = run(WITHDRAWAL)
    assert (saga.status, saga.due_ms) == (SagaStatus.HOLDING, None)
    assert decision.commands == (HoldFunds(SOURCE, OWN_HOLD, 1025, "EUR", PAYMENT, 2),)
    saga, decision = run(WITHDRAWAL, HELD)
    assert decision.commands == (asked(3, 1, PaymentKind.WITHDRAWAL),)
    assert saga.give_up_ms == AT_MS + 1 + PATIENCE_MS
    assert saga.wallets == {SOURCE: 7}


def test_a_withdrawal_with_a_refused_hold_sends_no_order() -> None:
    refused = WalletDeductionRefused(PAYMENT, 2, SOURCE, 1025, "EUR", 6, "insufficient_funds")
    saga, decision = run(WITHDRAWAL, refused)
    assert saga.status is SagaStatus.FAILED
    assert (decision.commands, decision.outcome) == ((), PaymentFailed(PAYMENT, "insufficient_funds", {}))


def test_an_approved_withdrawal_is_captured_and_completes() -> None:
    _, decision = run(WITHDRAWAL, HELD, approved(3))
    assert decision.commands == (CaptureHold(SOURCE, PAYMENT, OWN_HOLD, 1025, "EUR", EXTERNAL, 4),)
    deducted = WalletDeducted(PAYMENT, 4, SOURCE, 1025, "EUR", 9)
    saga, decision = run(WITHDRAWAL, HELD, approved(3), deducted)
    assert saga.status is SagaStatus.COMPLETED
    assert isinstance(decision.outcome, PaymentCompleted)
    assert decision.outcome.wallets == {SOURCE: 9}


def test_a_declined_withdrawal_is_released_and_fails_with_the_wallet_s_version() -> None:
    _, decision = run(WITHDRAWAL, HELD, declined(3))
    assert decision.commands == (ReleaseHold(SOURCE, OWN_HOLD, "provider_declined", PAYMENT, 4),)
    released = WalletReleased(PAYMENT, 4, SOURCE, 1025, "EUR", 8, OWN_HOLD)
    _, decision = run(WITHDRAWAL, HELD, declined(3), released)
    assert decision.outcome == PaymentFailed(PAYMENT, "provider_declined", {SOURCE: 8})


def test_an_order_without_an_outcome_is_repeated_after_a_growing_wait() -> None:
    saga, _ = run(DEPOSIT)
    at_ms, waits = AT_MS, []
    for attempt in range(1, 10):
        decision = decide(saga, timed_out(saga.version), at_ms=at_ms, patience_ms=PATIENCE_MS)
        assert decision.saga is not None
        assert (decision.commands, decision.events) == ((), ())
        saga = msgspec.structs.replace(decision.saga, give_up_ms=None)
        assert saga.due_ms is not None
        waits.append(saga.due_ms - at_ms)
        at_ms = saga.due_ms
        saga, decision = past(saga)
        assert decision.commands == (asked(attempt + 2, attempt + 1),)
    for number, wait_ms in enumerate(waits):
        longest_ms = min(ASK_AGAIN_MS * 2**number, ASK_AGAIN_MS_MAX)
        assert longest_ms // 2 <= wait_ms <= longest_ms


def test_payments_that_failed_together_retry_at_different_times() -> None:
    saga, _ = run(DEPOSIT)
    waits = set()
    for number in range(20):
        other = msgspec.structs.replace(saga, payment_id=PaymentId(derived_id(f"payment {number}")))
        about = (other.payment_id, 2, "acme", 1025, "EUR")
        first, again = (evolve(other, ProviderTimedOut(*about), at_ms=AT_MS).due_ms for _ in range(2))
        assert first == again
        waits.add(first)
    assert len(waits) > 10


def test_no_wait_extends_beyond_the_deadline() -> None:
    saga, _ = run(DEPOSIT)
    late_ms = AT_MS + PATIENCE_MS - 1
    waiting = decide(saga, timed_out(2), at_ms=late_ms).saga
    assert waiting is not None
    assert waiting.due_ms == waiting.give_up_ms == AT_MS + PATIENCE_MS


def test_a_saga_waits_for_the_answer_to_a_repeated_order_until_its_deadline() -> None:
    saga, _ = run(DEPOSIT, timed_out(2))
    asking, _ = past(saga)
    assert (asking.version, asking.attempts, asking.due_ms) == (3, 2, AT_MS + PATIENCE_MS)


def test_the_deadline_counts_from_the_first_order() -> None:
    saga, _ = run(DEPOSIT, timed_out(2))
    saga, _ = past(saga)
    again = evolve(saga, timed_out(3), at_ms=AT_MS + 5_000, patience_ms=PATIENCE_MS)
    assert again.give_up_ms == AT_MS + PATIENCE_MS


@pytest.mark.parametrize("events", [(DEPOSIT,), (DEPOSIT, timed_out(2)), (WITHDRAWAL, HELD)])
def test_at_the_deadline_the_order_is_cancelled(
    events: tuple[WalletHeld | ProviderTimedOut, ...],
) -> None:
    asking, _ = run(*events)
    saga, decision = out_of_time(asking)
    assert (saga.status, saga.version) == (SagaStatus.CANCELLING, asking.version + 1)
    assert (saga.reason, saga.attempts, saga.due_ms) == ("provider_timeout", 1, None)
    assert decision == SagaDecision(saga, (cancelled(saga.version, 1),))


def test_a_cancelled_deposit_fails_and_a_cancelled_withdrawal_is_released_first() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    decision = decide(saga, declined(3, "provider_timeout"), at_ms=AT_MS)
    assert decision.outcome == PaymentFailed(PAYMENT, "provider_timeout", {})
    saga, _ = out_of_time(run(WITHDRAWAL, HELD)[0])
    decision = decide(saga, declined(4, "provider_timeout"), at_ms=AT_MS)
    assert decision.commands == (ReleaseHold(SOURCE, OWN_HOLD, "provider_timeout", PAYMENT, 5),)


def test_an_unanswered_cancellation_is_repeated_for_ever() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    for attempt in range(2, 30):
        waiting = evolve(saga, timed_out(saga.version), at_ms=AT_MS)
        assert (waiting.status, waiting.give_up_ms) == (SagaStatus.CANCELLING, None)
        assert waiting.due_ms is not None
        longest_ms = min(ASK_AGAIN_MS * 2 ** (attempt - 2), CANCEL_AGAIN_MS_MAX)
        assert longest_ms // 2 <= waiting.due_ms - AT_MS <= longest_ms
        saga, decision = past(waiting)
        assert decision.commands == (cancelled(saga.version, attempt),)


def test_a_provider_unavailable_for_a_day_adds_few_events_to_a_payment() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    day_ms, at_ms, asked_for = 24 * 60 * 60 * 1000, AT_MS, 0
    while at_ms < AT_MS + day_ms:
        waiting = evolve(saga, timed_out(saga.version), at_ms=at_ms)
        assert waiting.due_ms is not None
        at_ms, asked_for = waiting.due_ms, asked_for + 1
        saga, _ = past(waiting)
    assert asked_for < 300


def test_a_settlement_takes_effect_at_once_during_any_wait() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    for _ in range(20):
        saga = evolve(saga, timed_out(saga.version), at_ms=AT_MS)
        assert saga.status is SagaStatus.CANCELLING
        saga, _ = past(saga)
    waiting = evolve(saga, timed_out(saga.version), at_ms=AT_MS)
    decision = decide_settlement(waiting, SettlePayment(PAYMENT, False, "their ticket"))
    (settled,) = decision.events
    assert isinstance(settled, ProviderDeclined)
    assert decide(waiting, settled, at_ms=AT_MS + 1).outcome is not None


@pytest.mark.parametrize("late", [approved(2), declined(2), timed_out(2)])
def test_an_answer_to_a_cancelled_order_has_no_effect(late: ProviderReply) -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    assert decide(saga, late, at_ms=AT_MS) == NOTHING


@pytest.mark.parametrize("answer", [approved(2), declined(2), timed_out(2)])
def test_a_repeated_answer_has_no_effect(answer: ProviderReply) -> None:
    saga, _ = run(DEPOSIT, answer)
    assert decide(saga, answer, at_ms=AT_MS) == NOTHING


@pytest.mark.parametrize("answer", [approved(2), declined(2)])
def test_an_answer_without_an_outcome_after_one_with_an_outcome_has_no_effect(answer: ProviderReply) -> None:
    saga, _ = run(DEPOSIT, answer)
    assert decide(saga, timed_out(2), at_ms=AT_MS) == NOTHING


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (approved(2), declined(2)),
        (declined(2), approved(2)),
        (timed_out(2), msgspec.structs.replace(approved(2), amount_minor=1)),
        (approved(2), msgspec.structs.replace(approved(2), amount_minor=1)),
        (approved(2), msgspec.structs.replace(timed_out(2), amount_minor=1)),
    ],
)
def test_an_answer_contradicting_an_earlier_one_needs_an_operator(
    first: ProviderReply, second: ProviderReply
) -> None:
    saga, _ = run(DEPOSIT, first)
    with pytest.raises(Unreadable, match="duplicate_mismatch"):
        decide(saga, second, at_ms=AT_MS)


@pytest.mark.parametrize("late", [approved(2), declined(2)])
def test_an_outcome_that_comes_after_a_time_out_at_its_version_is_taken(late: ProviderReply) -> None:
    waiting, _ = run(DEPOSIT, timed_out(2))
    asking, _ = past(waiting)
    in_time = msgspec.structs.replace(late, version=3)
    for saga in (waiting, asking):
        after = decide(saga, late, at_ms=AT_MS)
        assert after == decide(saga, in_time, at_ms=AT_MS)
        assert after.saga is not None
        for again in (late, in_time, timed_out(3)):
            assert decide(after.saga, again, at_ms=AT_MS) == NOTHING
        other = declined(3) if isinstance(late, ProviderApproved) else approved(2)
        with pytest.raises(Unreadable, match="duplicate_mismatch"):
            decide(after.saga, other, at_ms=AT_MS)


@pytest.mark.parametrize("late", [approved(2), declined(2), timed_out(2)])
def test_an_outcome_after_a_time_out_and_after_the_deadline_has_no_effect(
    late: ProviderReply,
) -> None:
    saga, _ = out_of_time(run(DEPOSIT, timed_out(2))[0])
    assert decide(saga, late, at_ms=AT_MS) == NOTHING


def test_a_cancellation_that_is_confirmed_after_a_time_out_at_its_version_is_taken() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    waiting = evolve(saga, timed_out(3), at_ms=AT_MS)
    late = declined(3, "provider_timeout")
    assert decide(waiting, late, at_ms=AT_MS).outcome == PaymentFailed(PAYMENT, "provider_timeout", {})
    with pytest.raises(Unreadable, match="duplicate_mismatch"):
        decide(waiting, approved(3), at_ms=AT_MS)


@pytest.mark.parametrize("version", [3, 9])
def test_an_answer_without_an_order_breaks_the_invariant(version: int) -> None:
    saga, _ = run(DEPOSIT)
    with pytest.raises(InvariantBroken):
        decide(saga, approved(version), at_ms=AT_MS)
    with pytest.raises(InvariantBroken):
        decide(None, approved(version), at_ms=AT_MS)


def test_an_approval_of_a_cancellation_breaks_the_invariant() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    with pytest.raises(InvariantBroken):
        decide(saga, approved(3), at_ms=AT_MS)


def test_a_deadline_other_than_the_saga_s_own_has_no_effect() -> None:
    saga, _ = run(DEPOSIT)
    assert saga.due_ms is not None
    assert decide_due(saga, saga.due_ms - 1) == NOTHING
    moved, _ = past(saga)
    assert decide_due(moved, saga.due_ms) == NOTHING
    ended, _ = run(DEPOSIT, declined(2))
    assert decide_due(ended, saga.due_ms) == NOTHING


@pytest.mark.parametrize("events", [(DEPOSIT,), (DEPOSIT, timed_out(2)), (WITHDRAWAL, HELD)])
def test_a_settlement_replaces_the_provider_s_answer(
    events: tuple[WalletHeld | ProviderTimedOut, ...],
) -> None:
    saga, _ = run(*events)
    about, detail = (PAYMENT, saga.version, "acme", 1025, "EUR"), "settled by hand: seen"
    yes = decide_settlement(saga, SettlePayment(PAYMENT, True, "seen"))
    assert yes == SagaDecision(events=(ProviderApproved(*about, detail),))
    no = decide_settlement(saga, SettlePayment(PAYMENT, False, "seen"))
    assert no == SagaDecision(events=(ProviderDeclined(*about, "provider_declined", detail),))
    for decision in (yes, no):
        (answer,) = decision.events
        after = decide(saga, answer, at_ms=AT_MS)
        assert after.saga is not None
        assert decide(after.saga, answer, at_ms=AT_MS) == NOTHING


def test_a_cancellation_can_only_be_settled_as_declined() -> None:
    saga, _ = out_of_time(run(DEPOSIT)[0])
    with pytest.raises(Unreadable, match="payment_id"):
        decide_settlement(saga, SettlePayment(PAYMENT, True, "seen"))
    (answer,) = decide_settlement(saga, SettlePayment(PAYMENT, False, "seen")).events
    assert decide(saga, answer, at_ms=AT_MS).outcome == PaymentFailed(PAYMENT, "provider_timeout", {})


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_settlement_without_an_awaited_provider_has_no_effect(is_approved: bool) -> None:
    command = SettlePayment(PAYMENT, is_approved, "seen")
    other = run(DEPOSIT, declined(2) if is_approved else approved(2))[0]
    for saga in (None, run(started())[0], run(WITHDRAWAL)[0], other):
        with pytest.raises(Unreadable, match="payment_id"):
            decide_settlement(saga, command)


@pytest.mark.parametrize("answer", [approved(2), declined(2)])
def test_a_repeated_settlement_is_answered_once(answer: ProviderReply) -> None:
    saga, _ = run(DEPOSIT, answer)
    command = SettlePayment(PAYMENT, isinstance(answer, ProviderApproved), "seen")
    assert decide_settlement(saga, command) == NOTHING
