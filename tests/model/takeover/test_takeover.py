"""Takeover and commit keep their invariants in every order, and each of their rules is necessary.

`pytest -s` prints how many states were explored.
"""

from __future__ import annotations

import pytest

from tests.model.takeover.explore import Exploration, explore
from tests.model.takeover.rules import Bounds, Fault, Rule

EVERY_FAULT = frozenset(Fault)
MOVES = frozenset({Fault.REBALANCE, Fault.CRASH, Fault.COMMIT_UNANSWERED})
EVERYTHING = {
    "two records, any two faults": Bounds(records=2, faults=2),
    "three records, any fault": Bounds(records=3, faults=1),
    "a record and its deadline, any fault": Bounds(records=1, faults=1, has_deadline=True),
    "a record and its deadline, two moves": Bounds(records=1, faults=2, has_deadline=True, kinds=MOVES),
    "a record that changes nothing, two faults but lost offsets": Bounds(
        faults=2, silent=frozenset({1}), kinds=EVERY_FAULT - {Fault.OFFSETS_EXPIRED}
    ),
}
SLOW = {"two records, any two faults"}

SEEN_WITH_LITTLE = {Rule.DEADLINE_LOOKS_AT_STATE, Rule.READ_TO_POSITION}
"""Rules that one record and one fault are enough for; more would take long."""


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(bounds, id=name, marks=pytest.mark.slow if name in SLOW else ())
        for name, bounds in EVERYTHING.items()
    ],
)
def test_every_order_keeps_every_invariant_and_can_end(bounds: Bounds) -> None:
    explored = printed(explore(bounds))
    assert explored.wrong is None, told(explored)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name.lower())
def test_a_dropped_rule_is_caught(rule: Rule) -> None:
    bounds = Bounds(records=2, faults=2, dropped=rule)
    if rule in SEEN_WITH_LITTLE:
        has_deadline = rule is Rule.DEADLINE_LOOKS_AT_STATE
        bounds = Bounds(records=1, faults=1, dropped=rule, has_deadline=has_deadline)
    explored = printed(explore(bounds))
    assert explored.wrong is not None, f"nothing depends on it: {rule.name}"
    assert (rule is Rule.READ_TO_POSITION) == ("no run" in explored.wrong), told(explored)


def test_without_fences_a_stale_owner_breaks_an_invariant() -> None:
    for rule in (Rule.GENERATION_FENCES, Rule.GENERATION_OF_TAKEOVER):
        explored = explore(Bounds(records=1, faults=1, kinds=frozenset({Fault.REBALANCE}), dropped=rule))
        assert any(Fault.REBALANCE.value in step for step in explored.trace), told(explored)


def test_a_record_without_effect_is_repeated_if_group_offset_and_rocksdb_are_lost_together() -> None:
    """The limit of the positions: such a cycle leaves none in the changelog."""
    kinds = frozenset({Fault.OFFSETS_EXPIRED, Fault.CRASH_WITHOUT_ROCKSDB})
    explored = printed(explore(Bounds(records=1, faults=2, silent=frozenset({0}), kinds=kinds)))
    assert explored.wrong is not None
    assert {step.split(":")[0] for step in explored.trace if step.startswith("!")} == {
        f"! {fault.value.split(':')[0]}" for fault in kinds
    }
    for kind in kinds:
        alone = explore(Bounds(records=1, faults=2, silent=frozenset({0}), kinds=frozenset({kind})))
        assert alone.wrong is None, told(alone)


def told(explored: Exploration) -> str:
    """Return what is wrong and the steps that lead there, one a line."""
    return "\n  ".join((explored.wrong or "nothing is wrong", *explored.trace))


def printed(explored: Exploration) -> Exploration:
    """Print how far an exploration has come."""
    print(f"{explored.states} states, {explored.steps} steps: {explored.wrong or 'nothing is wrong'}")
    return explored
