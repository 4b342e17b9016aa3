"""Refunds never exceed the paid amount, in any order of requests and ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.domain.answers import RefundGranted
from ledger_streams.domain.events import PaymentRefunded, WalletCredited
from ledger_streams.domain.ids import PaymentId, derived_id
from ledger_streams.domain.saga.commands import EndRefund, ReserveRefund
from ledger_streams.domain.saga.refunds import OUTCOME_VERSION, decide_end, decide_reservation
from ledger_streams.domain.saga.state import Saga
from tests.model.samples import PAYMENT, TARGET, deposit, started
from tests.unit.saga_course import run

PAID, _ = run(started(deposit()), WalletCredited(PAYMENT, 2, TARGET, 1025, "EUR", 4))
PAID_MINOR = PAID.amount_minor

asks = st.one_of(st.just(0), st.integers(1, PAID_MINOR + 100), st.integers(1, PAID_MINOR // 3))
ends = st.tuples(st.integers(0, 9), st.booleans())
"""Which of the refunds under way, and whether it has completed."""


@given(st.lists(st.one_of(asks, ends), max_size=30))
def test_reserved_and_refunded_amounts_never_exceed_the_paid_amount(
    steps: list[int | tuple[int, bool]],
) -> None:
    saga, told = PAID, list[PaymentRefunded]()
    for number, step in enumerate(steps):
        if isinstance(step, int):
            saga = asked(saga, PaymentId(derived_id(f"refund {number}")), step)
        elif saga.reserved:
            refund_id = list(saga.reserved)[step[0] % len(saga.reserved)]
            saga = ended(saga, EndRefund(PAYMENT, refund_id, step[1]), told)
        assert saga.refunded_minor + sum(saga.reserved.values()) <= PAID_MINOR
        assert all(minor > 0 for minor in saga.reserved.values())
    assert saga.refunded_minor == sum(one.amount_minor for one in told)
    assert [one.version for one in told] == [OUTCOME_VERSION + 1 + at for at in range(len(told))]


def asked(saga: Saga, refund_id: PaymentId, amount_minor: int) -> Saga:
    """Ask for a refund: it is granted as long as so much is left, and refused only then."""
    left_minor = PAID_MINOR - saga.refunded_minor - sum(saga.reserved.values())
    decision = decide_reservation(saga, ReserveRefund(PAYMENT, refund_id, amount_minor, "EUR", 2))
    (answer,) = decision.events
    assert isinstance(answer, RefundGranted) is (0 < (amount_minor or left_minor) <= left_minor)
    if isinstance(answer, RefundGranted):
        assert answer.amount_minor == (amount_minor or left_minor)
    return decision.saga or saga


def ended(saga: Saga, command: EndRefund, told: list[PaymentRefunded]) -> Saga:
    """End a refund: one that has completed is told on the payment with the sum so far."""
    decision = decide_end(saga, command)
    assert decision.saga is not None
    assert command.refund_id not in decision.saga.reserved
    if not command.is_completed:
        assert (decision.outcome, decision.saga.refunded_minor) == (None, saga.refunded_minor)
        return decision.saga
    assert isinstance(decision.outcome, PaymentRefunded)
    told.append(decision.outcome)
    assert decision.outcome.refunded_minor == sum(one.amount_minor for one in told)
    return decision.saga
