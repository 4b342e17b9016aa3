"""Goals of a replay: the live projector's positions; an error if the logs do not reach them."""

from __future__ import annotations

import pytest

from ledger_streams.errors import InvariantBroken
from ledger_streams.recovery.rebuild_projections import target_offsets

ONE, OTHER = ("payment-events", 0), ("payment-events", 1)


def test_the_goal_is_the_live_position_and_else_the_end() -> None:
    assert target_offsets({ONE: 5}, {ONE: 3, OTHER: 0}, {ONE: 9, OTHER: 7}) == {ONE: 5, OTHER: 7}


@pytest.mark.parametrize("position", [2, 10], ids=["records deleted unread", "a shorter log"])
def test_a_log_that_does_not_reach_the_live_position_is_refused(position: int) -> None:
    with pytest.raises(InvariantBroken, match=rf"projected up to {position}, but Kafka has 3 to 9"):
        target_offsets({ONE: position}, {ONE: 3}, {ONE: 9})
