"""A table with two sources: both source offsets survive kills, rebalances and rebuilds.

Both topics add to the same keys, so each sum has to be written exactly once and in order, from whichever
source.  The last record of the changelog alone has to carry both source offsets.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams.engine.state.restore import source_header
from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.engine_app.audit import audit_tables, committed, highest_of_each_header, last_of_each_key, pairs
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.harness import EngineWorkers, engine_workers, said
from tests.live import Process

ONES = {f"key-{number}": 1 for number in range(20)}
SOURCES = ("toy-in", "toy-more")


@pytest.fixture
async def workers(alone: Settings) -> AsyncIterator[EngineWorkers]:
    """Workers with two sources, not started."""
    async with engine_workers(alone, sources=2) as workers:
        yield workers


async def feed_both(workers: EngineWorkers, *, times: int = 1) -> None:
    """Feed ones to both sources."""
    await asyncio.gather(*(workers.feed(ONES, times=times, topic=topic) for topic in SOURCES))


@asynccontextmanager
async def records_coming_in(workers: EngineWorkers) -> AsyncIterator[None]:
    """Feed both sources in the background."""
    is_over = asyncio.Event()

    async def feed() -> None:
        while not is_over.is_set():
            await feed_both(workers)

    feeding = asyncio.ensure_future(feed())
    try:
        yield
    finally:
        is_over.set()
        await feeding


async def all_exact(workers: EngineWorkers, *running: Process) -> None:
    """Wait for all sums, stop the workers, and compare outputs, changelog, tables and source offsets."""
    await workers.all_added_once()
    for worker in running:
        worker.signal(signal.SIGTERM)
    assert [worker.wait() for worker in running] == [0] * len(running)
    out = await committed(workers.settings, "toy-out")
    changelog = await committed(workers.settings, "toy-changelog")
    for partition in range(PARTITIONS):
        assert pairs(changelog[partition]) == pairs(out[partition])
    await audit_tables(workers.settings)
    await last_records_tell_both_ends(workers)


async def last_records_tell_both_ends(workers: EngineWorkers) -> None:
    """Check that the last changelog record of each partition has the source offsets of both ends."""
    changelog = await committed(workers.settings, "toy-changelog")
    names = {source_header(None): "toy-in", source_header(workers.settings.topic("toy-more")): "toy-more"}
    fed = {name: await committed(workers.settings, topic) for name, topic in names.items()}
    for partition, records in changelog.items():
        told = highest_of_each_header(records[-1:])
        ends = {name: log[partition][-1].offset + 1 for name, log in fed.items()}
        assert told == ends, f"compaction may leave the last record of {partition} alone"


@pytest.mark.slow
async def test_records_of_both_sources_are_carried_out_once(workers: EngineWorkers) -> None:
    worker = workers.start()
    await feed_both(workers, times=50)
    await all_exact(workers, worker)


async def test_one_cycle_of_both_sources_writes_both_offsets_to_its_last_record(
    workers: EngineWorkers,
) -> None:
    worker = workers.start()
    await said(worker, "ready: 8 partitions")
    workers.hold()
    await workers.feed(ONES)
    await said(worker, "worker holds its commit")
    await workers.feed(ONES, times=3, topic="toy-more")
    await workers.feed(ONES, times=3)
    workers.release()  # the next poll finds both
    await all_exact(workers, worker)


async def test_a_kill_between_commit_and_rocksdb_write_keeps_both_source_offsets(
    workers: EngineWorkers,
) -> None:
    for nth in (1, 6):
        dying = workers.start(fault=f"die-before-keep:{nth}")
        await feed_both(workers, times=20)
        assert dying.wait() == -signal.SIGKILL
    worker = workers.start()
    await feed_both(workers)
    await all_exact(workers, worker)


@pytest.mark.slow
async def test_a_kill_under_load_adds_nothing_twice(workers: EngineWorkers) -> None:
    killed, other = workers.start("1"), workers.start("2")
    await said(killed, "ready: 4 partitions")
    await said(other, "ready: 4 partitions")
    async with records_coming_in(workers):
        killed.kill()
        await said(other, "ready: 8 partitions")
        killed.start()
        await said(killed, "ready: 4 partitions", times=2)
    await all_exact(workers, killed, other)


async def test_a_rebalance_moves_the_partitions_of_both_topics_together(workers: EngineWorkers) -> None:
    first = workers.start("1")
    await said(first, "ready: 8 partitions")
    async with records_coming_in(workers):
        second = workers.start("2")
        await said(second, "ready: 4 partitions")
        await said(first, "ready: 4 partitions")
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
        await said(first, "ready: 8 partitions", times=2)
    await all_exact(workers, first)


@pytest.mark.slow
async def test_unanswered_or_refused_commits_move_neither_source_offset_twice(
    workers: EngineWorkers,
) -> None:
    refused = workers.start(fault="abort:2")
    await feed_both(workers, times=5)
    await workers.all_added()
    await feed_both(workers, times=5)
    await said(refused, "cycle lost")
    await workers.all_added()
    refused.stop()
    forgetful = workers.start(fault="lose-answer:3")
    while forgetful.log.read_text().count("cycle lost") < 2:
        await feed_both(workers)
    await all_exact(workers, forgetful)


@pytest.mark.parametrize("group", [pytest.param("kept", marks=pytest.mark.slow), "forgotten"])
async def test_a_store_rebuilt_from_an_empty_folder_has_both_source_offsets(
    workers: EngineWorkers, group: str
) -> None:
    worker = workers.start()
    await feed_both(workers, times=10)
    await workers.all_added()
    await workers.feed(ONES, times=5, topic="toy-more")
    await workers.all_added()
    worker.kill()
    shutil.rmtree(workers.tables_dir())
    worker = workers.start(group=None if group == "kept" else f"{workers.settings.app_id}-anew")
    await feed_both(workers, times=3)
    await all_exact(workers, worker)


async def test_a_compacted_changelog_has_both_source_offsets(workers: EngineWorkers) -> None:
    worker = workers.start()
    await said(worker, "ready: 8 partitions")
    workers.hold()
    await workers.feed(ONES)
    await said(worker, "worker holds its commit")
    await feed_both(workers, times=4)
    workers.release()
    await workers.all_added()
    worker.kill()
    shutil.rmtree(workers.tables_dir())
    await workers.make_anew(
        "toy-changelog", last_of_each_key(await committed(workers.settings, "toy-changelog"))
    )
    workers.start(group=f"{workers.settings.app_id}-anew")
    await feed_both(workers)
    await workers.all_added_once()


async def test_a_new_source_is_read_from_its_beginning(workers: EngineWorkers) -> None:
    workers.sources = 1
    worker = workers.start()
    await workers.feed(ONES, times=5)
    await workers.all_added()
    worker.stop()
    await workers.feed(ONES, times=2, topic="toy-more")
    workers.sources = 2
    worker = workers.start()
    await workers.feed(ONES)
    await all_exact(workers, worker)


async def test_a_source_left_out_for_a_while_continues_at_its_offset(workers: EngineWorkers) -> None:
    worker = workers.start()
    await feed_both(workers, times=3)
    await workers.all_added()
    worker.stop()
    workers.sources = 1
    worker = workers.start()
    await workers.feed(ONES, times=2)
    await workers.all_added()
    worker.stop()
    workers.sources = 2
    worker = workers.start()
    await feed_both(workers)
    await all_exact(workers, worker)


async def test_a_worker_with_two_sources_exits_beside_one_with_one_and_names_the_topic(
    workers: EngineWorkers,
) -> None:
    workers.sources = 1
    older = workers.start("1")
    await said(older, "ready: 4 partitions")
    workers.sources = 2
    newer = workers.start("2")
    assert newer.wait(40) == EXIT_SOFTWARE
    assert "which feed the same table" in newer.log.read_text()
    assert "toy-in" in newer.log.read_text().rpartition("is assigned without")[2].partition("\n")[0]


async def test_both_sources_are_committed_to_the_group(workers: EngineWorkers) -> None:
    worker = workers.start()
    await feed_both(workers, times=3)
    await workers.all_added_once()
    worker.stop()
    partitions = [
        TopicPartition(workers.settings.topic(topic), number)
        for topic in SOURCES
        for number in range(PARTITIONS)
    ]
    read = {workers.settings.topic(topic): await committed(workers.settings, topic) for topic in SOURCES}
    async with AIOKafkaConsumer(
        bootstrap_servers=workers.settings.kafka, group_id=workers.settings.app_id, enable_auto_commit=False
    ) as consumer:
        ends = await consumer.end_offsets(partitions)
        for tp in partitions:
            last = read[tp.topic][tp.partition][-1].offset
            assert last < await consumer.committed(tp) <= ends[tp], "behind markers there is nothing to read"
