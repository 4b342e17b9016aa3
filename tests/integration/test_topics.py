"""Topics on a real broker: applied, applied again, changed by hand, corrected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from click.testing import CliRunner

from ledger_streams import topics
from ledger_streams.cli.topics import topics as command
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings


@asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def eventually_differs(settings: Settings, expected: list[str]) -> None:
    """Check until the broker shows what the controller has acknowledged."""
    async with asyncio.timeout(10):
        while await topics.check(settings) != expected:  # noqa: ASYNC110  a broker's state, not ours
            await asyncio.sleep(0.05)


async def test_applied_topics_do_not_differ_and_a_second_apply_changes_nothing(topics_only: Settings) -> None:
    assert await topics.check(topics_only) == []
    assert await topics.apply(topics_only) == []


async def test_missing_topics_are_named_one_by_one(alone: Settings) -> None:
    missing = [f"{alone.topic_prefix}{spec.name}: is missing" for spec in topics.TOPICS]
    assert await topics.check(alone) == missing


async def test_a_changed_topic_configuration_is_found_and_corrected(topics_only: Settings) -> None:
    name = topics_only.topic(topics.WALLET_EVENTS)
    changed = topics.spec(topics.WALLET_EVENTS).configs(topics_only) | {"cleanup.policy": "delete"}
    async with admin_of(topics_only) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=changed)])

    difference = f"{name}: cleanup.policy is delete, not compact"
    await eventually_differs(topics_only, [difference])
    assert await topics.apply(topics_only) == [f"changed {difference}"]
    assert await topics.check(topics_only) == []


async def test_a_different_number_of_partitions_is_reported_and_never_changed(alone: Settings) -> None:
    name = alone.topic(topics.SAGA_EVENTS)
    configs = topics.spec(topics.SAGA_EVENTS).configs(alone)
    async with admin_of(alone) as admin:
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=configs)])
        try:
            assert not [line for line in await topics.apply(alone) if name in line.split()]
            assert await topics.check(alone) == [f"{name}: has 2 partitions, not 6; keys would move"]
        finally:
            await admin.delete_topics([alone.topic_prefix + spec.name for spec in topics.TOPICS])


async def test_a_stopped_broker_is_reported_as_unavailable(alone: Settings) -> None:
    with pytest.raises(Unavailable, match="kafka is not available"):
        await topics.check(alone.model_copy(update={"kafka": "127.0.0.1:1"}))


def test_the_command_prints_the_differences_and_exits_with_1(alone: Settings) -> None:
    environment = {"LEDGER_KAFKA": alone.kafka, "LEDGER_TOPIC_PREFIX": alone.topic_prefix}
    result = CliRunner(env=environment).invoke(command, ["check"])
    assert result.exit_code == 1
    assert f"{alone.topic_prefix}payment-events: is missing" in result.output
