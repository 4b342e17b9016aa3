"""Workers join, leave, stop and pause: the others take over, and late commits are refused."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.engine_app.harness import EngineWorkers, said
from tests.live import Process, eventually

ONES = {f"key-{number}": 1 for number in range(20)}
JOINING = "(Re-)joining group"


@asynccontextmanager
async def records_coming_in(workers: EngineWorkers) -> AsyncIterator[None]:
    """Feed ones in the background, about 1,000 a second."""
    is_over = asyncio.Event()

    async def feed() -> None:
        while not is_over.is_set():
            await workers.feed(ONES)

    feeding = asyncio.ensure_future(feed())
    try:
        yield
    finally:
        is_over.set()
        await feeding


async def two_ready(workers: EngineWorkers) -> tuple[Process, Process]:
    """Start two workers with two partitions each."""
    first, second = workers.start("1"), workers.start("2")
    await said(first, "ready: 2 partitions")
    await said(second, "ready: 2 partitions")
    return first, second


async def test_a_worker_joins_its_group_once_its_topics_are_there(alone: Settings) -> None:
    workers = EngineWorkers(alone)
    early = workers.start()
    try:
        await said(early, f"the broker does not know: {alone.topic('toy-in')}")
        assert JOINING not in early.log.read_text()
        await workers.create_topics()
        await said(early, "ready: 4 partitions")
        await workers.feed(ONES)
        await workers.all_exact()
    finally:
        workers.close()
        await workers.delete_topics()


async def test_a_worker_waiting_for_its_topics_stops_on_sigterm(alone: Settings) -> None:
    early = EngineWorkers(alone).start()
    await said(early, "the broker does not know")
    early.signal(signal.SIGTERM)
    assert early.wait() == 0


async def test_a_second_worker_joins_and_leaves_under_load(workers: EngineWorkers) -> None:
    first = workers.start("1")
    await said(first, "ready: 4 partitions")
    async with records_coming_in(workers):
        second = workers.start("2")
        await said(second, "ready: 2 partitions")
        await said(first, "ready: 2 partitions")
        second.signal(signal.SIGTERM)
        asked = time.monotonic()
        await said(first, "ready: 4 partitions", times=2)
        assert time.monotonic() - asked < workers.settings.session_timeout_ms / 1000 / 2, "it left the group"
    assert second.wait() == 0
    await workers.all_exact()


async def test_a_poll_from_before_a_takeover_loses_no_later_record(
    workers: EngineWorkers,
) -> None:
    slow = workers.start("1", fault="slow-seek")
    await said(slow, "ready: 4 partitions")
    joined = slow.log.read_text().count(JOINING)
    other = workers.start("2")
    await said(slow, JOINING, times=joined + 1)
    await workers.feed(ONES, times=5)  # its poll waits for records since before the takeover
    await said(slow, "ready: 2 partitions")
    await workers.all_added()
    other.stop()
    await said(slow, JOINING, times=joined + 2)
    await workers.feed(ONES, times=5)
    await said(slow, "ready: 4 partitions", times=2)
    await workers.all_exact()


async def test_partitions_moved_during_the_work_between_cycles_are_taken_over(workers: EngineWorkers) -> None:
    slow = workers.start("1", fault="slow-look-back")
    await said(slow, "ready: 4 partitions")
    other = workers.start("2")
    await said(slow, "ready: 2 partitions")
    await workers.feed(ONES, times=5)
    other.stop()
    await said(slow, "ready: 4 partitions", times=2)
    await workers.all_exact()


async def test_a_worker_stopped_during_a_commit_completes_it(workers: EngineWorkers) -> None:
    leaving, other = await two_ready(workers)
    workers.hold("1")
    await workers.feed(ONES, times=10)
    await said(leaving, "worker holds its commit")
    leaving.signal(signal.SIGTERM)
    await said(leaving, "TakeoverTables]: Stopping...")
    workers.release("1")
    released = time.monotonic()
    assert leaving.wait() == 0, leaving.tail()
    assert "cycle lost" not in leaving.log.read_text()
    await said(other, "ready: 4 partitions")
    assert time.monotonic() - released < workers.settings.session_timeout_ms / 1000 / 2, "it left the group"
    await workers.all_exact()


async def test_a_commit_after_the_partitions_moved_is_refused_and_the_worker_lives(
    workers: EngineWorkers,
) -> None:
    late = workers.start("1")
    await said(late, "ready: 4 partitions")
    workers.hold("1")
    await workers.feed(ONES, times=10)
    await said(late, "worker holds its commit")
    other = workers.start("2")
    await said(other, "ready: 4 partitions")  # the late one has not answered, so the group is without it
    await workers.all_added()
    workers.release("1")
    await said(late, "cycle lost, taking over anew")
    assert "GroupMovedOn" in late.log.read_text()
    await said(late, "ready: 2 partitions")
    await workers.feed(ONES, times=10)
    await workers.all_exact()


async def test_a_worker_suspended_during_a_cycle_commits_nothing_of_it(workers: EngineWorkers) -> None:
    sleeping, other = await two_ready(workers)
    workers.hold("1")
    await workers.feed(ONES, times=10)
    await said(sleeping, "worker holds its commit")
    sleeping.signal(signal.SIGSTOP)
    await said(other, "ready: 4 partitions")
    await workers.all_added()
    workers.release("1")
    sleeping.signal(signal.SIGCONT)

    async def is_lost_or_ended() -> bool:
        return sleeping.exit_code == EXIT_SOFTWARE or "cycle lost" in sleeping.log.read_text()

    await eventually(is_lost_or_ended, what="the cycle is lost")
    if sleeping.exit_code is not None:
        sleeping = workers.start("1")
    await said(other, "ready: 2 partitions", times=2)
    await workers.feed(ONES, times=10)
    await workers.all_exact()


async def test_a_worker_restarted_within_its_session_causes_no_rebalance(workers: EngineWorkers) -> None:
    workers.settings = workers.settings.model_copy(update={"session_timeout_ms": 25_000})
    killed, other = await two_ready(workers)
    joined = other.log.read_text().count("Joined group")
    generation = generation_of(other)
    async with records_coming_in(workers):
        killed.kill()
        killed.start()
        await said(killed, "ready: 2 partitions", times=2)
    await workers.all_exact()
    assert generation_of(killed) == generation
    assert other.log.read_text().count("Joined group") == joined


def generation_of(worker: Process) -> int:
    """Return the generation of a worker's last completed takeover."""
    return int(worker.log.read_text().rpartition("partitions of generation ")[2].split()[0])
