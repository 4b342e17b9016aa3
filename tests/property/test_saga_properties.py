"""Sagas: every payment of every kind ends once, with any answers of wallets and providers in any order."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams import wire
from ledger_streams.domain.answers import ProviderReply, RefundGranted, RefundRefused
from ledger_streams.domain.commands import (
    AddFunds,
    CaptureHold,
    DeductFunds,
    HoldFunds,
    LegCommand,
    ReleaseHold,
)
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentOutcome,
    Reply,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
    WalletReply,
)
from ledger_streams.domain.postings import postings_of
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import EndRefund, ProviderOrder, ReserveRefund, SagaCommand
from ledger_streams.domain.saga.decisions import NOTHING, Command, SagaDecision, decide, decide_due
from ledger_streams.domain.saga.state import Saga, has_ended
from ledger_streams.domain.saga.transitions import Course, SagaStatus
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, WalletEvent
from ledger_streams.errors import Unreadable
from tests.model.provider import BookedProvider
from tests.model.samples import AT_MS, HOLD, PAYMENT, content, deposit, refund, started, withdrawal

EVERY_KIND = [
    content(),
    content(hold_id=HOLD),
    deposit(),
    deposit(provider="acme"),
    withdrawal(),
    withdrawal(hold_id=HOLD),
    withdrawal(provider="acme"),
    refund(),
    refund(amount=None, currency=None),
]
seeds = st.integers(0, 2**32)
"""Of what happens; a seed that failed is printed."""


class Play:
    """One saga against wallets and a provider that take, refuse and forget as `seed` has it."""

    def __init__(self, data: dict[str, Any], seed: int) -> None:
        self._random = random = Random(seed)
        self.provider = BookedProvider(random)
        self.now_ms = AT_MS
        self.asked: list[Command] = []
        """Commands not yet answered."""
        self.orders: list[ProviderOrder] = []
        self.outcomes: list[PaymentOutcome] = []
        self.told: list[SagaCommand] = []
        self.moved: list[WalletEvent] = []
        first = started(data)
        self._take(decide(None, first, at_ms=AT_MS))

    @property
    def saga(self) -> Saga:
        return self._saga

    def to_the_end(self) -> None:
        while not has_ended(self.saga):
            if self.asked and (self.saga.due_ms is None or self._random.random() < 0.8):
                self.answer(self.asked.pop(0))
            else:
                self.past_due()

    def answer(self, command: Command) -> None:
        """Take the answer to a command, and the same once more."""
        self.now_ms += 1
        if isinstance(command, LegCommand):
            reply: Reply = self._leg_answer(command)
        elif isinstance(command, ProviderOrder):
            self.orders.append(command)
            reply = self.provider.answer(command)
        else:
            assert isinstance(command, ReserveRefund)
            reply = self._refund_answer(command)
        self.hear(reply)
        assert decide(self.saga, reply, at_ms=self.now_ms) == NOTHING

    def hear(self, reply: Reply) -> None:
        self._take(decide(self.saga, reply, at_ms=self.now_ms))

    def past_due(self) -> None:
        assert self.saga.due_ms is not None, f"{self.saga.status} waits for nothing and for ever"
        self.now_ms = max(self.now_ms, self.saga.due_ms)
        self._take(decide_due(self.saga, self.saga.due_ms))

    def _take(self, decision: SagaDecision) -> None:
        if decision.saga is not None:
            self._saga = wire.decode_saga_state(wire.encode_saga_state(decision.saga))
            assert self._saga == decision.saga
        self.asked += [one for one in decision.commands if not isinstance(one, EndRefund)]
        self.told += [one for one in decision.commands if isinstance(one, EndRefund)]
        self.outcomes += [decision.outcome] if decision.outcome is not None else []

    def _leg_answer(self, leg: LegCommand) -> WalletReply:
        """Answer as a wallet: compensations, and what is done with a payment's own hold, are always taken."""
        assert leg.payment_id is not None
        assert leg.saga_version is not None
        amount_minor, currency = self.saga.amount_minor, self.saga.currency
        about = (leg.payment_id, leg.saga_version, leg.wallet_id, amount_minor, currency, 5)
        is_certain = getattr(leg, "compensates", False) or getattr(leg, "hold_id", "") == leg.payment_id
        takes = self._random.random() < 0.7 or (is_certain and not isinstance(leg, HoldFunds))
        if not takes:
            is_credit = isinstance(leg, AddFunds)
            refusal = WalletCreditRefused if is_credit else WalletDeductionRefused
            return refusal(*about, "wallet_closed")
        match leg:
            case AddFunds():
                self.moved.append(self._movement(BalanceAdded, leg))
                return WalletCredited(*about, leg.compensates)
            case DeductFunds() | CaptureHold():
                self.moved.append(self._movement(BalanceDeducted, leg))
                return WalletDeducted(*about)
            case HoldFunds():
                return WalletHeld(*about, leg.hold_id)
            case ReleaseHold():
                return WalletReleased(*about, leg.hold_id)

    def _movement(
        self, event: type[BalanceAdded | BalanceDeducted], leg: AddFunds | DeductFunds | CaptureHold
    ) -> WalletEvent:
        return event(leg.wallet_id, 5, leg.payment_id, leg.amount_minor, leg.currency, leg.counterparty)

    def _refund_answer(self, asked: ReserveRefund) -> RefundGranted | RefundRefused:
        refund_id, version, of = asked.refund_id, asked.saga_version, asked.payment_id
        if self._random.random() < 0.2:
            return RefundRefused(refund_id, version, of, "limit_exceeded", "nothing is left")
        paid = self._random.choice(EVERY_KIND[:7])
        source, target = paid["source_wallet_id"], paid["target_wallet_id"]
        money = (asked.amount_minor or 1025, asked.currency or "EUR")
        kind, provider = PaymentKind(paid["kind"]), paid["provider"]
        return RefundGranted(refund_id, version, of, *money, kind, source, target, provider)


@given(st.sampled_from(EVERY_KIND), seeds)
def test_every_payment_of_every_kind_ends_once(data: dict[str, Any], seed: int) -> None:
    play = Play(data, seed)
    play.to_the_end()
    assert len(play.outcomes) == 1
    is_completed = isinstance(play.outcomes[0], PaymentCompleted)
    assert is_completed is (play.saga.status is SagaStatus.COMPLETED)
    assert (play.saga.due_ms, play.saga.give_up_ms) == (None, None)


@given(st.sampled_from(EVERY_KIND), seeds)
def test_an_ended_payment_s_postings_sum_to_zero_and_a_failed_one_has_none_left(
    data: dict[str, Any], seed: int
) -> None:
    play = Play(data, seed)
    play.to_the_end()
    accounts: Counter[str] = Counter()
    for event in play.moved:
        legs = postings_of(event)
        assert sum(leg.amount_minor for leg in legs) == 0
        for leg in legs:
            accounts[leg.account] += leg.amount_minor
    assert accounts[f"transit:{play.saga.currency}"] == 0
    if play.saga.status is not SagaStatus.COMPLETED:
        assert not any(accounts.values())
    else:
        assert any(accounts.values())


@given(st.sampled_from(EVERY_KIND), seeds)
def test_a_provider_has_executed_exactly_the_completed_payments(data: dict[str, Any], seed: int) -> None:
    play = Play(data, seed)
    play.to_the_end()
    is_by_one = play.saga.course in (Course.PROVIDER_DEPOSIT, Course.PROVIDER_WITHDRAWAL)
    is_completed = play.saga.status is SagaStatus.COMPLETED
    assert bool(play.provider.booked()) is (is_by_one and is_completed)


@given(st.sampled_from([refund(), refund(amount=None, currency=None)]), seeds)
def test_a_refund_that_was_granted_tells_its_payment_once_how_it_ended(
    data: dict[str, Any], seed: int
) -> None:
    play = Play(data, seed)
    play.to_the_end()
    is_completed = play.saga.status is SagaStatus.COMPLETED
    is_granted = "RefundGranted" in play.saga.replies
    assert play.told == ([EndRefund(PAYMENT, play.saga.payment_id, is_completed)] if is_granted else [])


@given(st.sampled_from([deposit(provider="acme"), withdrawal(provider="acme")]), seeds)
def test_answers_of_a_provider_late_twice_and_in_any_order_reach_one_end(
    data: dict[str, Any], seed: int
) -> None:
    play, random = Play(data, seed), Random(~seed)
    heard: list[ProviderReply] = []
    while not has_ended(play.saga) or len(heard) < 5:
        if play.orders and random.random() < 0.5:
            heard.append(play.provider.answer(random.choice(play.orders)))
            hear_at_any_time(play, random.choice(heard))
        elif play.asked:
            play.answer(play.asked.pop(0))
        elif not has_ended(play.saga):
            play.past_due()
        elif not play.orders:
            break
    assert len(play.outcomes) == 1
    final = [reply for reply in play.saga.replies if reply in ("ProviderApproved", "ProviderDeclined")]
    assert len(final) <= 2
    assert bool(play.provider.booked()) is (play.saga.status is SagaStatus.COMPLETED)


def hear_at_any_time(play: Play, reply: ProviderReply) -> None:
    """Hear an answer to any order there was: it is taken, known, or parked for somebody to look at."""
    before = play.saga
    try:
        play.hear(reply)
    except Unreadable as error:
        assert error.reason == "duplicate_mismatch"
        assert reply.version < before.version
    if play.saga != before:
        unheard = before.replies[reply.version - 2 :]
        assert set(unheard) <= {"ProviderTimedOut"}, "another answer has been taken since"
        assert before.status in (SagaStatus.ASKING, SagaStatus.CANCELLING)


@given(st.sampled_from([deposit(provider="acme"), withdrawal(provider="acme")]), seeds, st.integers(0, 20))
def test_a_deadline_that_comes_again_sets_off_nothing(data: dict[str, Any], seed: int, steps: int) -> None:
    play = Play(data, seed)
    past: set[int] = set()
    for _ in range(steps):
        if has_ended(play.saga):
            break
        if play.asked:
            play.answer(play.asked.pop(0))
        elif play.saga.due_ms is not None:
            past.add(play.saga.due_ms)
            play.past_due()
        for due_ms in past - {play.saga.due_ms}:
            assert decide_due(play.saga, due_ms) == NOTHING
