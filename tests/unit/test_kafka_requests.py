"""Requests to a partition whose leader is moving are repeated for a while; other errors end them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiokafka.errors as kafka_errors
import pytest
from aiokafka.errors import KafkaError

from ledger_streams.kafka.requests import LEADER_MOVING, when_led


def answering(*answers: KafkaError | int) -> tuple[Callable[[], Awaitable[int]], list[int]]:
    """Return what gives one answer after another, the last one for ever, and where it counts them."""
    asked: list[int] = []

    async def ask() -> int:
        asked.append(len(asked))
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, KafkaError):
            raise answer
        return answer

    return ask, asked


@pytest.mark.parametrize("error", LEADER_MOVING)
async def test_a_request_is_repeated_while_the_leader_moves(error: type[KafkaError]) -> None:
    ask, asked = answering(error(), error(), 7)
    assert await when_led(ask) == 7
    assert len(asked) == 3


@pytest.mark.parametrize("error", LEADER_MOVING)
async def test_a_request_without_a_leader_at_the_end_is_unavailable(error: type[KafkaError]) -> None:
    ask, asked = answering(error())
    with pytest.raises(error):
        await when_led(ask, seconds_max=0.1)
    assert len(asked) > 1


async def test_a_request_is_not_repeated_after_another_error() -> None:
    ask, asked = answering(kafka_errors.ClusterAuthorizationFailedError(), 7)
    with pytest.raises(kafka_errors.ClusterAuthorizationFailedError):
        await when_led(ask)
    assert len(asked) == 1
