"""Toys that send themselves records: carried out as they were written, or read back, once and in order.

Each number is followed by the next smaller one, in the partition it came from, while others feed the
same partitions.  The audit compares what came out with the log, record by record.
"""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.engine_app.harness import EngineWorkers, said

EIGHTS = {f"key-{number}": 8 for number in range(20)}


async def test_what_comes_ahead_keeps_its_place_among_what_others_write(workers: EngineWorkers) -> None:
    workers.echo = True
    workers.start()
    for _ in range(10):
        await workers.feed(EIGHTS, times=5)
    await workers.all_exact()


async def test_two_workers_feed_each_other(workers: EngineWorkers) -> None:
    workers.echo = True
    for worker_id in ("1", "2"):
        workers.start(worker_id)
    for _ in range(10):
        await workers.feed(EIGHTS, times=5)
        await asyncio.sleep(0.2)
    await workers.all_exact()


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        pytest.param("die-before-keep", (1, 3, 5), id="after a commit: nothing comes ahead twice"),
        pytest.param("die-in-cycle", (1, 4, 9), id="between two rounds: nothing of the cycle has happened"),
    ],
)
async def test_a_worker_is_killed(workers: EngineWorkers, fault: str, times: tuple[int, ...]) -> None:
    workers.echo = True
    for nth in times:
        dying = workers.start(fault=f"{fault}:{nth}")
        await workers.feed(EIGHTS, times=10)
        assert dying.wait() == -signal.SIGKILL
    workers.start()
    await workers.feed(EIGHTS)
    await workers.all_exact()


async def test_partitions_that_move_between_two_rounds_leave_nothing_behind(workers: EngineWorkers) -> None:
    workers.echo = True
    slow = workers.start("1", fault="slow-rounds")
    await said(slow, "ready: 4 partitions")
    for times in (1, 2, 3):
        await workers.feed(EIGHTS)
        other = workers.start("2", fault="slow-rounds")
        await said(slow, "ready: 2 partitions", times=times)
        await workers.feed(EIGHTS)
        other.stop()
        await said(slow, "ready: 4 partitions", times=times + 1)
    told = slow.log.read_text()
    assert "a cycle is given up" in told
    assert "cycle lost" not in told
    await workers.all_exact()


async def test_after_a_commit_without_an_answer_nothing_comes_ahead(workers: EngineWorkers) -> None:
    workers.echo = True
    forgetful = workers.start(fault="lose-answer:5")
    for times in (1, 2, 3):
        await said(forgetful, "ready:", times=times)
        while forgetful.log.read_text().count("cycle lost") < times:  # each fifth is
            await workers.feed(EIGHTS)
    await workers.all_exact()


async def test_a_worker_that_is_paused_and_replaced_carries_out_nothing_more(workers: EngineWorkers) -> None:
    workers.echo = True
    paused = workers.start("1")
    await workers.feed(EIGHTS, times=20)
    await said(paused, "took over", seconds=60)
    paused.signal(signal.SIGSTOP)
    other = workers.start("2")
    await workers.feed(EIGHTS, times=20)
    await said(other, "took over", seconds=90)
    paused.signal(signal.SIGCONT)
    await workers.feed(EIGHTS, times=20)
    await workers.all_exact()
