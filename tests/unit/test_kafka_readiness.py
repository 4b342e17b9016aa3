"""Readiness of Kafka according to its metadata."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_streams.kafka.readiness import KafkaReadiness

Topic = dict[str, Any]


def topic(name: str, *leaders: int) -> Topic:
    partitions = [{"partition": number, "leader": leader} for number, leader in enumerate(leaders)]
    return {"topic": name, "partitions": partitions}


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({1: [topic("a", 1, 2), topic("b", 2)], 2: [topic("a", 1, 2), topic("b", 2)]}, None),
        ({1: [topic("a", 1, 2), topic("b")], 2: [topic("a", 1, 2)]}, "no such topic: b"),
        (
            {1: [topic("a", 1, -1), topic("b", 1)]},
            "partitions without a leader that answers: a 1",
        ),
        (
            {1: [topic("a", 1, 2), topic("b", *[2] * 7)]},
            "partitions without a leader that answers: a 1, b 0, b 1, b 2, b 3 and 3 more",
        ),
        ({1: [topic("a", 1, 2), topic("b", 2)], 2: [topic("a", 1, 2)]}, None),
    ],
    ids=["all is well", "a topic is missing", "no leader", "a leader does not answer", "heard of it late"],
)
def test_topics_and_partitions_that_cannot_be_used_are_named(
    answers: dict[int, list[Topic]], problem: str | None
) -> None:
    check = KafkaReadiness("127.0.0.1:1", ["a", "b"], client_id="test")
    assert check._judged(answers) == problem


async def test_a_closed_check_is_unready_and_sends_no_request() -> None:
    check = KafkaReadiness("127.0.0.1:1", ["a"], client_id="test")
    await check.close()
    assert await check.problem() == "the process is stopping"
