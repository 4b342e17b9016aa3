"""Back-pressure: which partitions a worker polls while many of its own records are in flight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from faust.types import TP

from ledger_streams.engine.consumer_thread import UNDER_WAY_MAX, FrameConsumerThread
from ledger_streams.engine.loopback import OF_ONE_MAX, Ahead
from ledger_streams.kafka.records import AppendedBatch

REQUESTS = {TP("requests", number) for number in range(2)}
STEPS = {TP("steps", number) for number in range(UNDER_WAY_MAX // OF_ONE_MAX)}


def polled(in_flight: int, active: set[TP], *, is_ready: bool = True) -> set[TP] | None:
    """Return what is polled of the active partitions while so many records of each step are in flight."""
    ahead = Ahead(intake=("requests",))
    ahead.add([AppendedBatch(tp, 0, 1, [(b"key", b"", ())] * in_flight) for tp in STEPS], STEPS)
    app = SimpleNamespace(ready=is_ready, committer=SimpleNamespace(ahead=ahead))
    return FrameConsumerThread._to_be_polled(cast(FrameConsumerThread, SimpleNamespace(app=app)), active)


@pytest.mark.parametrize("in_flight", [OF_ONE_MAX, 2 * OF_ONE_MAX])
def test_while_much_is_under_way_requests_are_not_polled(in_flight: int) -> None:
    assert polled(in_flight, REQUESTS | STEPS) == STEPS


@pytest.mark.parametrize(("in_flight", "is_ready"), [(OF_ONE_MAX - 1, True), (0, True), (OF_ONE_MAX, False)])
def test_with_less_in_flight_or_before_a_takeover_all_is_polled(in_flight: int, is_ready: bool) -> None:
    assert polled(in_flight, REQUESTS | STEPS, is_ready=is_ready) == REQUESTS | STEPS


def test_a_worker_that_owns_requests_alone_polls_them() -> None:
    assert polled(OF_ONE_MAX, REQUESTS) == REQUESTS
