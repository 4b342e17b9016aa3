"""A takeover by itself: how far it reads, what it waits for, and where a source goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from faust.types import TP

from ledger_streams.engine.state.restore import source_header
from ledger_streams.engine.state.source_offset_log import SourceOffsetLogs
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.takeover import RESTORE_RECORDS_MAX, Takeover
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.metrics import RESTORE_LEFT_RECORDS
from ledger_streams.settings import Settings
from tests.engine_app.__main__ import SUMS
from tests.engine_app.group import Group
from tests.engine_app.harness import EngineWorkers
from tests.live import eventually

RECORDS = RESTORE_RECORDS_MAX + 1_000
KEYS = 100


def takeover_of(settings: Settings, source_offset_logs: SourceOffsetLogs | None = None) -> Takeover:
    changelogs = {SUMS.name: settings.topic("toy-changelog")}
    return Takeover(
        bootstrap=settings.kafka,
        group_id=settings.app_id,
        changelog_topics=changelogs,
        source_offset_logs=source_offset_logs,
    )


@pytest.fixture
async def store(workers: EngineWorkers) -> AsyncIterator[PartitionStore]:
    """The empty store of partition 0."""
    store = PartitionStore(workers.tables_dir(), SUMS, 0)
    yield store
    store.close()


async def test_a_changelog_is_read_to_its_end_though_no_poll_brings_all_of_it(
    workers: EngineWorkers, store: PartitionStore
) -> None:
    source, changelog = TP(workers.settings.topic("toy-in"), 0), workers.settings.topic("toy-changelog")
    async with AIOKafkaProducer(bootstrap_servers=workers.settings.kafka, linger_ms=5) as owner:
        for number in range(RECORDS):
            headers = [(source_header(None), b"%d" % (number + 1))]
            key = b"%d" % (number % KEYS)
            await owner.send(changelog, b"%d" % number, key, partition=0, headers=headers)
    reached = await takeover_of(workers.settings).run([source], {source: store}, TakeoverProgress())
    assert reached[source].source_next == RECORDS
    assert store.position.changelog_next == RECORDS
    lasts = range(RECORDS - KEYS, RECORDS)
    assert dict(store.items()) == {b"%d" % (number % KEYS): b"%d" % number for number in lasts}


async def test_a_transaction_that_is_open_in_a_changelog_is_waited_for(
    workers: EngineWorkers, store: PartitionStore
) -> None:
    source, changelog = TP(workers.settings.topic("toy-in"), 0), workers.settings.topic("toy-changelog")
    async with AIOKafkaProducer(
        bootstrap_servers=workers.settings.kafka, transactional_id=f"{workers.settings.app_id}-owner"
    ) as owner:
        await owner.begin_transaction()
        headers = [(source_header(None), b"5")]
        await owner.send_and_wait(changelog, b"7", b"key", partition=0, headers=headers)
        taking = asyncio.create_task(
            takeover_of(workers.settings).run([source], {source: store}, TakeoverProgress())
        )

        async def waits_or_is_over() -> bool:
            return taking.done() or RESTORE_LEFT_RECORDS.labels(SUMS.name)._value.get() == 1

        await eventually(waits_or_is_over, what="the takeover waits for the record")
        assert not taking.done()
        await owner.commit_transaction()
        reached = await taking
    assert dict(store.items()) == {b"key": b"7"}
    assert reached[source].source_next == 5


async def test_a_source_without_a_table_goes_on_where_its_position_log_is(
    workers: EngineWorkers, group: Group
) -> None:
    """The group's offset may be of long ago."""
    logs = SourceOffsetLogs({group.source.topic: workers.settings.topic("toy-more")})
    await group.transactions.start()
    for source_next in (4, 5):
        positions = {group.source: source_next}
        await group.transactions.commit(logs.records(positions), positions, group.membership)
    takeover = takeover_of(workers.settings, logs)
    assert (await takeover.run([group.source], {}, TakeoverProgress()))[group.source].source_next == 5
    await group.consumer.commit({TopicPartition(*group.source): 1})
    assert (await takeover.run([group.source], {}, TakeoverProgress()))[group.source].source_next == 5
