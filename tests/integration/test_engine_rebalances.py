"""Workers that come, go, stop and sleep: what the others get, and what a late commit is worth."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.engine_app.harness import Toys, said
from tests.live import Process, eventually

ONES = {f"key-{number}": 1 for number in range(20)}
JOINING = "(Re-)joining group"


@asynccontextmanager
async def records_coming_in(toys: Toys) -> AsyncIterator[None]:
    """Feed ones all the time, about 1,000 a second."""
    is_over = asyncio.Event()

    async def feed() -> None:
        while not is_over.is_set():
            await toys.feed(ONES)

    feeding = asyncio.ensure_future(feed())
    try:
        yield
    finally:
        is_over.set()
        await feeding


async def two_ready(toys: Toys) -> tuple[Process, Process]:
    """Start two workers with two partitions each."""
    first, second = toys.start("1"), toys.start("2")
    await said(first, "ready: 2 partitions")
    await said(second, "ready: 2 partitions")
    return first, second


async def test_a_worker_joins_its_group_once_its_topics_are_there(alone: Settings) -> None:
    toys = Toys(alone)
    early = toys.start()
    try:
        await said(early, f"waited for: {alone.topic('toy-in')}")
        assert JOINING not in early.log.read_text()
        await toys.create_topics()
        await said(early, "ready: 4 partitions")
        await toys.feed(ONES)
        await toys.all_exact()
    finally:
        toys.close()
        await toys.delete_topics()


async def test_a_worker_that_waits_for_its_topics_stops_when_it_is_told_to(alone: Settings) -> None:
    early = Toys(alone).start()
    await said(early, "waited for")
    early.signal(signal.SIGTERM)
    assert early.wait() == 0


async def test_a_second_worker_comes_and_goes_while_records_come_in(toys: Toys) -> None:
    first = toys.start("1")
    await said(first, "ready: 4 partitions")
    async with records_coming_in(toys):
        second = toys.start("2")
        await said(second, "ready: 2 partitions")
        await said(first, "ready: 2 partitions")
        second.signal(signal.SIGTERM)
        asked = time.monotonic()
        await said(first, "ready: 4 partitions", times=2)
        assert time.monotonic() - asked < toys.settings.session_timeout_ms / 1000 / 2, "it left the group"
    assert second.wait() == 0
    await toys.all_exact()


async def test_a_poll_from_before_a_takeover_takes_no_record_away_from_after_it(toys: Toys) -> None:
    slow = toys.start("1", fault="slow-seek")
    await said(slow, "ready: 4 partitions")
    joined = slow.log.read_text().count(JOINING)
    other = toys.start("2")
    await said(slow, JOINING, times=joined + 1)
    await toys.feed(ONES, times=5)  # its poll waits for records since before the takeover
    await said(slow, "ready: 2 partitions")
    await toys.all_added()
    other.stop()
    await said(slow, JOINING, times=joined + 2)
    await toys.feed(ONES, times=5)
    await said(slow, "ready: 4 partitions", times=2)
    await toys.all_exact()


async def test_partitions_that_move_while_a_worker_looks_back_are_taken_over(toys: Toys) -> None:
    slow = toys.start("1", fault="slow-look-back")
    await said(slow, "ready: 4 partitions")
    other = toys.start("2")
    await said(slow, "ready: 2 partitions")
    await toys.feed(ONES, times=5)
    other.stop()
    await said(slow, "ready: 4 partitions", times=2)
    await toys.all_exact()


async def test_a_worker_asked_to_end_in_mid_commit_ends_the_commit_first(toys: Toys) -> None:
    leaving, other = await two_ready(toys)
    toys.hold("1")
    await toys.feed(ONES, times=10)
    await said(leaving, "a commit is held")
    leaving.signal(signal.SIGTERM)
    await said(leaving, "LedgerTables]: Stopping...")
    toys.release("1")
    released = time.monotonic()
    assert leaving.wait() == 0, leaving.tail()
    assert "cycle lost" not in leaving.log.read_text()
    await said(other, "ready: 4 partitions")
    assert time.monotonic() - released < toys.settings.session_timeout_ms / 1000 / 2, "it left the group"
    await toys.all_exact()


async def test_a_commit_held_until_another_owns_the_partitions_is_lost_and_the_worker_lives(
    toys: Toys,
) -> None:
    late = toys.start("1")
    await said(late, "ready: 4 partitions")
    toys.hold("1")
    await toys.feed(ONES, times=10)
    await said(late, "a commit is held")
    other = toys.start("2")
    await said(other, "ready: 4 partitions")  # the late one has not answered, so the group is without it
    await toys.all_added()
    toys.release("1")
    await said(late, "cycle lost, taking over anew")
    assert "GroupMovedOn" in late.log.read_text()
    await said(late, "ready: 2 partitions")
    await toys.feed(ONES, times=10)
    await toys.all_exact()


async def test_a_worker_that_slept_with_a_cycle_in_hand_commits_nothing_of_it(toys: Toys) -> None:
    sleeping, other = await two_ready(toys)
    toys.hold("1")
    await toys.feed(ONES, times=10)
    await said(sleeping, "a commit is held")
    sleeping.signal(signal.SIGSTOP)
    await said(other, "ready: 4 partitions")
    await toys.all_added()
    toys.release("1")
    sleeping.signal(signal.SIGCONT)

    async def is_lost_or_ended() -> bool:
        return sleeping.exit_code == EXIT_SOFTWARE or "cycle lost" in sleeping.log.read_text()

    await eventually(is_lost_or_ended, what="the cycle is lost")
    if sleeping.exit_code is not None:
        sleeping = toys.start("1")
    await said(other, "ready: 2 partitions", times=2)
    await toys.feed(ONES, times=10)
    await toys.all_exact()


async def test_a_worker_killed_and_back_in_time_disturbs_nobody(toys: Toys) -> None:
    toys.settings = toys.settings.model_copy(update={"session_timeout_ms": 25_000})
    killed, other = await two_ready(toys)
    joined = other.log.read_text().count("Joined group")
    generation = generation_of(other)
    async with records_coming_in(toys):
        killed.kill()
        killed.start()
        await said(killed, "ready: 2 partitions", times=2)
    await toys.all_exact()
    assert generation_of(killed) == generation
    assert other.log.read_text().count("Joined group") == joined


def generation_of(toy: Process) -> int:
    """Return the generation in which a toy has last become ready."""
    return int(toy.log.read_text().rpartition("partitions of generation ")[2].split()[0])
