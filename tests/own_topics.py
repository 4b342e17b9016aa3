"""Topics of a test's own: all of a system, or those few that it needs.

A whole system has 110 partitions, which a broker creates in a second or more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.live import eventually


@asynccontextmanager
async def own_topics(settings: Settings, names: Sequence[str] = ()) -> AsyncIterator[None]:
    """Create the topics of these settings (only `names`, if given).

    Afterwards every topic is deleted that has the settings' prefix in its name.
    """
    if names:
        async with _admin(settings) as admin:
            await _create(admin, settings, names)
    else:
        await topics.apply(settings)
    yield
    async with _admin(settings) as admin:
        ours = [name for name in await admin.list_topics() if settings.topic_prefix in name]
        await admin.delete_topics(ours)


async def _create(admin: AIOKafkaAdminClient, settings: Settings, names: Sequence[str]) -> None:
    """Create the topics as declared, and wait until the broker shows a leader of each partition."""
    new = {settings.topic(name): topics.spec(name) for name in names}
    replicas = settings.replication_factor
    answer = await admin.create_topics(
        [
            NewTopic(name, spec.partitions, replicas, topic_configs=spec.configs(settings))
            for name, spec in new.items()
        ]
    )
    refused = [(name, message) for name, code, message in answer.topic_errors if code]
    assert not refused, refused

    async def are_led() -> bool:
        answers = await admin.describe_topics(list(new))
        return all(
            not answer["error_code"] and all(part["leader"] >= 0 for part in answer["partitions"])
            for answer in answers
        )

    await eventually(are_led, what="the topics are led")


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
