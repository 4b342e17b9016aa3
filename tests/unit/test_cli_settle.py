"""`sagas settle`: the command is sent until the saga takes it, a bounded number of times."""

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


def test_a_settlement_that_ends_the_payment_is_sent_once() -> None:
    assert said_while(seen(2), seen(2), seen(2, "completed")) == ("completed", 1)


def test_the_command_is_sent_again_after_a_time_out_of_the_provider() -> None:
    assert said_while(seen(0), seen(1), seen(1), seen(2), seen(2, "failed")) == ("failed", 3)


def test_the_number_of_commands_is_bounded() -> None:
    looks = [seen(silences) for silences in range(COMMANDS_MAX + 4)]
    assert said_while(*looks, seen(99, "failed")) == ("failed", COMMANDS_MAX)


def test_a_payment_that_stays_pending_is_returned_after_the_wait() -> None:
    assert said_while(seen(1), wait_s=0.5) == ("pending", 1)
