"""Faults are drawn with the given shares, reproducibly, and a retry succeeds in the end."""

from __future__ import annotations

from collections import Counter

import pytest

from ledger_streams.local.provider_simulator.faults import Behaviour, Fault

KEYS = [f"key {number}" for number in range(4_000)]
MIXED = Behaviour(
    seed=7, slow_share=0.2, error_share=0.2, lost_share=0.2, double_share=0.1, decline_share=0.25
)


def drawn(behaviour: Behaviour) -> list[tuple[Fault, Fault, bool]]:
    return [
        (behaviour.fault(key, "carry_out", 1), behaviour.fault(key, "cancel", 1), behaviour.declines(key))
        for key in KEYS
    ]


def test_the_same_seed_draws_the_same_and_another_one_differs() -> None:
    again = Behaviour(
        seed=7, slow_share=0.2, error_share=0.2, lost_share=0.2, double_share=0.1, decline_share=0.25
    )
    other = Behaviour(
        seed=8, slow_share=0.2, error_share=0.2, lost_share=0.2, double_share=0.1, decline_share=0.25
    )
    assert drawn(MIXED) == drawn(again)
    assert drawn(MIXED) != drawn(other)


def test_faults_come_as_often_as_their_shares_say() -> None:
    counts = Counter(MIXED.fault(key, "carry_out", 1) for key in KEYS)
    expected = {
        Fault.LATE_ANSWER: 0.1,
        Fault.LATE_ACTION: 0.1,
        Fault.ERROR: 0.2,
        Fault.LOST_ERROR: 0.1,
        Fault.LOST_CONNECTION: 0.1,
        Fault.DOUBLE: 0.1,
        Fault.NONE: 0.3,
    }
    assert {fault: count / len(KEYS) for fault, count in counts.items()} == pytest.approx(expected, abs=0.03)
    assert sum(map(MIXED.declines, KEYS)) / len(KEYS) == pytest.approx(0.25, abs=0.03)


def test_a_retried_key_gets_through_in_the_end() -> None:
    bad = Behaviour(error_share=0.5, lost_share=0.4)
    through = [
        next(number for number in range(1, 500) if bad.fault(key, "carry_out", number) is Fault.NONE)
        for key in KEYS[:200]
    ]
    assert max(through) > 1


def test_without_shares_no_fault_is_drawn() -> None:
    assert set(drawn(Behaviour())) == {(Fault.NONE, Fault.NONE, False)}


def test_shares_above_one_in_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="add up to at most 1"):
        Behaviour(slow_share=0.6, error_share=0.5)
