"""`sagas settle`: said until the saga has taken it, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger_streams.cli.sagas import COMMANDS_MAX, settle_until_ended


def seen(silences: int, status: str = "pending") -> dict[str, Any]:
    steps = ["SagaStarted", *["ProviderTimedOut"] * silences]
    return {"status": status, "steps": [{"event_type": step} for step in steps]}


def said_while(*looks: dict[str, Any], wait_s: float = 30.0) -> tuple[str, int]:
    """Return how the payment stands in the end, and how often the settlement was said."""
    first, *later = looks
    said: list[None] = []
    answers: Iterator[dict[str, Any]] = iter(later)
    payment, count = settle_until_ended(
        lambda: said.append(None), lambda: next(answers, looks[-1]), first, wait_s=wait_s
    )
    assert count == len(said)
    return payment["status"], count


def test_a_settlement_that_is_taken_is_said_once() -> None:
    assert said_while(seen(2), seen(2), seen(2, "completed")) == ("completed", 1)


def test_it_is_said_again_when_a_time_out_came_between() -> None:
    assert said_while(seen(0), seen(1), seen(1), seen(2), seen(2, "failed")) == ("failed", 3)


def test_it_is_not_said_for_ever() -> None:
    looks = [seen(silences) for silences in range(COMMANDS_MAX + 4)]
    assert said_while(*looks, seen(99, "failed")) == ("failed", COMMANDS_MAX)


def test_a_payment_that_goes_on_waiting_is_left_when_time_is_up() -> None:
    assert said_while(seen(1), wait_s=0.5) == ("pending", 1)
