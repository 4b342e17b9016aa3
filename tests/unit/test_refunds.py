"""Refunds: the amount that the refunded payment's saga reserves, and the way of the money back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger_streams.domain.answers import RefundGranted, RefundRefused
from ledger_streams.domain.commands import AddFunds, Counterparty, DeductFunds, HoldFunds
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentRefunded,
    SagaFailed,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
)
from ledger_streams.domain.ids import HoldId, PaymentId, derived_id
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import CarryOutPayment, EndRefund, ReserveRefund
from ledger_streams.domain.saga.decisions import NOTHING, SagaDecision, decide
from ledger_streams.domain.saga.refunds import decide_end, decide_reservation
from ledger_streams.domain.saga.state import PATIENCE_MS, Saga
from ledger_streams.domain.saga.transitions import Course, SagaStatus
from ledger_streams.errors import InvariantBroken
from tests.model.samples import AT_MS, PAYMENT, REFUND, SOURCE, TARGET, content, deposit, refund, started
from tests.unit.saga_course import run

OTHER_REFUND = PaymentId(derived_id("other refund"))
PAID, _ = run(
    started(),
    WalletDeducted(PAYMENT, 2, SOURCE, 1025, "EUR", 7),
    WalletCredited(PAYMENT, 3, TARGET, 1025, "EUR", 4),
)
"""A transfer that has completed."""
REFUNDING = started(refund())


def reserve(amount_minor: int = 400, currency: str = "EUR", refund_id: PaymentId = REFUND) -> ReserveRefund:
    return ReserveRefund(PAYMENT, refund_id, amount_minor, currency, 2)


def reserved(saga: Saga, command: ReserveRefund) -> Saga:
    after = decide_reservation(saga, command).saga
    assert after is not None, command
    return after


def refusal(saga: Saga | None, command: ReserveRefund) -> tuple[str, str]:
    decision = decide_reservation(saga, command)
    assert (decision.saga, decision.commands, decision.outcome) == (None, (), None)
    (refused,) = decision.events
    assert isinstance(refused, RefundRefused)
    assert (refused.payment_id, refused.version, refused.refund_of) == (command.refund_id, 2, PAYMENT)
    return refused.reason, refused.detail.partition(":")[0]


def granted(**changes: Any) -> RefundGranted:
    paid = RefundGranted(REFUND, 2, PAYMENT, 400, "EUR", PaymentKind.TRANSFER, SOURCE, TARGET, None)
    return msgspec.structs.replace(paid, **changes)


def test_a_refund_begins_with_asking_the_payment_s_saga() -> None:
    saga, decision = run(REFUNDING)
    assert saga.status is SagaStatus.RESERVING
    assert decision.commands == (reserve(),)
    _, whole = run(started(refund(amount=None, currency=None)))
    assert whole.commands == (reserve(0, ""),)


def test_a_granted_refund_reserves_its_amount_with_the_way_of_payment() -> None:
    decision = decide_reservation(PAID, reserve())
    assert decision.events == (granted(),)
    assert decision.saga == msgspec.structs.replace(PAID, reserved={REFUND: 400})


def test_a_refund_without_an_amount_is_one_of_all_that_is_left() -> None:
    decision = decide_reservation(reserved(PAID, reserve()), reserve(0, "", OTHER_REFUND))
    assert decision.saga is not None
    assert decision.saga.reserved == {REFUND: 400, OTHER_REFUND: 625}


def test_reserved_refunds_never_exceed_the_paid_amount() -> None:
    assert refusal(PAID, reserve(1026)) == ("limit_exceeded", "data.amount")
    half = reserved(PAID, reserve(1000))
    assert refusal(half, reserve(26, refund_id=OTHER_REFUND)) == ("limit_exceeded", "data.amount")
    full = reserved(half, reserve(25, refund_id=OTHER_REFUND))
    for command in (reserve(1), reserve(0, "")):
        nobody = msgspec.structs.replace(command, refund_id=PaymentId(derived_id("a third")))
        assert refusal(full, nobody) == ("limit_exceeded", "data.amount")


def test_an_impossible_refund_is_refused_with_the_field() -> None:
    assert refusal(None, reserve()) == ("invalid", "data.refund_of")
    assert refusal(run(started())[0], reserve()) == ("invalid", "data.refund_of")
    failed, _ = run(started(), WalletDeductionRefused(PAYMENT, 2, SOURCE, 1025, "EUR", 6, "wallet_frozen"))
    assert refusal(failed, reserve()) == ("invalid", "data.refund_of")
    refund_itself = msgspec.structs.replace(PAID, kind=PaymentKind.REFUND)
    assert refusal(refund_itself, reserve()) == ("invalid", "data.refund_of")
    assert refusal(PAID, reserve(currency="USD")) == ("currency_mismatch", "data.currency")


def test_a_refused_refund_fails_with_the_reason_and_sends_nothing_to_the_payment() -> None:
    saga, decision = run(REFUNDING, RefundRefused(REFUND, 2, PAYMENT, "limit_exceeded", "0 are left"))
    assert (saga.status, decision.commands) == (SagaStatus.FAILED, ())
    assert decision.outcome == PaymentFailed(REFUND, "limit_exceeded", {}, "0 are left")


def test_a_refused_refund_that_named_no_amount_fails_without_one() -> None:
    whole = started(refund(amount=None, currency=None))
    _, decision = run(whole, RefundRefused(REFUND, 2, PAYMENT, "invalid", "no such payment"))
    assert decision.events == (SagaFailed(REFUND, 3, "invalid"),)


def test_a_transfer_goes_back_the_other_way_round() -> None:
    taken = WalletDeducted(REFUND, 3, TARGET, 400, "EUR", 5)
    back = WalletCredited(REFUND, 4, SOURCE, 400, "EUR", 8)
    _, decision = run(REFUNDING, granted())
    assert decision.commands == (DeductFunds(TARGET, REFUND, 400, "EUR", Counterparty.TRANSIT, 3),)
    _, decision = run(REFUNDING, granted(), taken)
    assert decision.commands == (AddFunds(SOURCE, REFUND, 400, "EUR", Counterparty.TRANSIT, 4),)
    saga, decision = run(REFUNDING, granted(), taken, back)
    assert decision.commands == (EndRefund(PAYMENT, REFUND, True),)
    wallets: dict[str, int] = {TARGET: 5, SOURCE: 8}
    assert decision.outcome == PaymentCompleted(
        REFUND, PaymentKind.REFUND, 400, "EUR", TARGET, SOURCE, wallets
    )
    assert saga.course is Course.TRANSFER


def test_a_deposit_is_withdrawn_and_a_withdrawal_deposited() -> None:
    paid = granted(kind=PaymentKind.DEPOSIT, source_wallet_id=None)
    _, decision = run(REFUNDING, paid)
    assert decision.commands == (DeductFunds(TARGET, REFUND, 400, "EUR", Counterparty.EXTERNAL, 3),)
    paid = granted(kind=PaymentKind.WITHDRAWAL, target_wallet_id=None)
    _, decision = run(REFUNDING, paid)
    assert decision.commands == (AddFunds(SOURCE, REFUND, 400, "EUR", Counterparty.EXTERNAL, 3),)


def test_a_refund_by_a_provider_reverses_collection_and_payout() -> None:
    paid = granted(kind=PaymentKind.DEPOSIT, source_wallet_id=None, provider="acme")
    saga, decision = run(REFUNDING, paid)
    assert decision.commands == (HoldFunds(TARGET, HoldId(REFUND), 400, "EUR", REFUND, 3),)
    assert (saga.status, saga.due_ms) == (SagaStatus.HOLDING, None)
    paid = granted(kind=PaymentKind.WITHDRAWAL, target_wallet_id=None, provider="acme")
    saga, decision = run(REFUNDING, paid)
    asked = CarryOutPayment(REFUND, "acme", PaymentKind.DEPOSIT, 400, "EUR", 3, 1)
    assert decision.commands == (asked,)
    assert saga.due_ms == AT_MS + 1 + PATIENCE_MS


@pytest.mark.parametrize("is_compensated", [True, False])
def test_a_failed_refund_frees_the_reserved_amount(is_compensated: bool) -> None:
    taken = WalletDeducted(REFUND, 3, TARGET, 400, "EUR", 5)
    not_taken = WalletDeductionRefused(REFUND, 3, TARGET, 400, "EUR", 4, "insufficient_funds")
    not_back = WalletCreditRefused(REFUND, 4, SOURCE, 400, "EUR", 8, "wallet_closed")
    again = WalletCredited(REFUND, 5, TARGET, 400, "EUR", 6, True)
    events = (taken, not_back, again) if is_compensated else (not_taken,)
    _, decision = run(REFUNDING, granted(), *events)
    assert decision.commands == (EndRefund(PAYMENT, REFUND, False),)
    assert isinstance(decision.outcome, PaymentFailed)
    after = decide_end(reserved(PAID, reserve()), EndRefund(PAYMENT, REFUND, False))
    assert after == SagaDecision(PAID)


def test_completed_refunds_are_summed_on_the_payment() -> None:
    saga = reserved(reserved(PAID, reserve(400)), reserve(600, refund_id=OTHER_REFUND))
    first = decide_end(saga, EndRefund(PAYMENT, OTHER_REFUND, True))
    assert first.outcome == PaymentRefunded(PAYMENT, 3, OTHER_REFUND, 600, 600, 1025, "EUR")
    assert first.saga is not None
    second = decide_end(first.saga, EndRefund(PAYMENT, REFUND, True))
    assert second.outcome == PaymentRefunded(PAYMENT, 4, REFUND, 400, 1000, 1025, "EUR")
    assert second.saga is not None
    assert (second.saga.reserved, second.saga.refunded_minor, second.saga.refunds) == ({}, 1000, 2)
    third = PaymentId(derived_id("a third"))
    assert refusal(second.saga, reserve(26, refund_id=third))[0] == "limit_exceeded"
    assert reserved(second.saga, reserve(0, "", third)).reserved == {third: 25}


def test_the_end_of_a_refund_that_was_never_granted_breaks_the_invariant() -> None:
    for saga in (None, PAID, reserved(PAID, reserve(refund_id=OTHER_REFUND))):
        with pytest.raises(InvariantBroken):
            decide_end(saga, EndRefund(PAYMENT, REFUND, True))


def test_a_grant_is_taken_once_and_only_where_it_is_awaited() -> None:
    saga, _ = run(REFUNDING, granted())
    assert decide(saga, granted(), at_ms=AT_MS) == NOTHING
    asked, _ = run(REFUNDING)
    for other in (granted(version=3), granted(refund_of=REFUND)):
        with pytest.raises(InvariantBroken):
            decide(asked, other, at_ms=AT_MS)
    transfer, _ = run(started(content()))
    with pytest.raises(InvariantBroken):
        decide(transfer, granted(payment_id=PAYMENT), at_ms=AT_MS)
    with pytest.raises(InvariantBroken):
        decide(run(started(deposit()))[0], granted(payment_id=PAYMENT), at_ms=AT_MS)
