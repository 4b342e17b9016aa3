"""Groups are asked about also on a cluster that has not had one yet.

Its topic of offsets is made at the first question, which the broker answers with an error.
"""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from ledger_streams.engine.state.log_generation import group_state, groups_with_members
from ledger_streams.kafka.fenced_offsets import NO_OFFSET, stable_commits
from ledger_streams.settings import Settings

ERRORS = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


class EarlyAdmin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Asks before there is a coordinator."""

    def __init__(self, errors: list[type[KafkaError]], **config: Any) -> None:
        super().__init__(**config)
        self.errors = errors

    async def find_coordinator(self, *arguments: Any, **named: Any) -> int:
        if self.errors:
            raise self.errors.pop()
        return int(await super().find_coordinator(*arguments, **named))


class EarlyClient(AIOKafkaClient):  # type: ignore[misc]
    """The same for one that reads offsets."""

    def __init__(self, errors: list[type[KafkaError]], **config: Any) -> None:
        super().__init__(**config)
        self.errors = errors

    async def coordinator_lookup(self, *arguments: Any) -> int:
        if self.errors:
            raise self.errors.pop()
        return int(await super().coordinator_lookup(*arguments))


async def test_a_group_is_described_once_it_has_a_coordinator(alone: Settings) -> None:
    admin = EarlyAdmin(list(ERRORS), bootstrap_servers=alone.kafka)
    await admin.start()
    try:
        assert await group_state(admin, alone.app_id) == "Dead"
    finally:
        await admin.close()
    assert not admin.errors
    assert await groups_with_members(alone.kafka, [alone.app_id]) == []


async def test_a_coordinator_is_not_waited_for_without_end(alone: Settings) -> None:
    admin = EarlyAdmin([GroupCoordinatorNotAvailableError] * 1_000, bootstrap_servers=alone.kafka)
    await admin.start()
    try:
        with pytest.raises(GroupCoordinatorNotAvailableError):
            await group_state(admin, alone.app_id, within_s=0.3)
    finally:
        await admin.close()


async def test_offsets_are_read_once_there_is_a_coordinator(alone: Settings) -> None:
    client = EarlyClient(list(ERRORS), bootstrap_servers=alone.kafka)
    await client.bootstrap()
    wanted = TopicPartition(alone.topic("wallet-events"), 0)
    try:
        commits = await stable_commits(client, alone.app_id, [wanted])
    finally:
        await client.close()
    assert not client.errors
    assert commits[wanted].offset == NO_OFFSET
