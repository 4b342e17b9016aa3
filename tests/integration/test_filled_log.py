"""Groups are asked about also on a cluster that has not had one yet.

Its topic of offsets is made at the first question, which the broker answers with an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from ledger_streams.engine import filled_log
from ledger_streams.engine.filled_log import filled, groups_with_members
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings

ERRORS = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


def failing_at_first(real: Callable[..., Awaitable[Any]], errors: list[type[KafkaError]]) -> Any:
    """Return the method, which raises these errors before it asks the broker."""

    async def method(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return await real(*args, **kwargs)

    return method


async def test_a_group_is_described_once_it_has_a_coordinator(
    alone: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[type[KafkaError]] = list(ERRORS)
    real = AIOKafkaAdminClient.find_coordinator
    monkeypatch.setattr(AIOKafkaAdminClient, "find_coordinator", failing_at_first(real, errors))
    assert await groups_with_members(alone.kafka, [alone.app_id]) == []
    assert not errors


async def test_offsets_are_read_once_there_is_a_coordinator(
    alone: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[type[KafkaError]] = list(ERRORS)
    real = AIOKafkaClient.coordinator_lookup
    monkeypatch.setattr(AIOKafkaClient, "coordinator_lookup", failing_at_first(real, errors))
    assert await filled(alone.kafka, alone.app_id, [(alone.topic("wallet-events"), 0)]) == {}
    assert not errors


async def test_a_coordinator_is_not_waited_for_without_end(
    alone: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filled_log, "COORDINATOR_WITHIN_S", 0.3)
    errors: list[type[KafkaError]] = [GroupCoordinatorNotAvailableError] * 1_000
    real = AIOKafkaAdminClient.find_coordinator
    monkeypatch.setattr(AIOKafkaAdminClient, "find_coordinator", failing_at_first(real, errors))
    with pytest.raises(Unavailable, match="GroupCoordinatorNotAvailable"):
        await groups_with_members(alone.kafka, [alone.app_id])
