"""A toy that dies, or does not hear, at the worst moments."""

from __future__ import annotations

import signal

from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.engine_app.harness import EngineWorkers, said

ONES = {f"key-{number}": 1 for number in range(20)}


async def test_everything_comes_out_once(workers: EngineWorkers) -> None:
    workers.start()
    await workers.feed(ONES, times=100)
    await workers.all_exact()


async def test_killed_between_the_commit_and_rocksdb_nothing_is_added_twice(workers: EngineWorkers) -> None:
    for nth in (1, 3):
        dying = workers.start(fault=f"die-before-keep:{nth}")
        await workers.feed(ONES, times=50)
        assert dying.wait() == -signal.SIGKILL
    workers.start()
    await workers.feed(ONES, times=10)
    await workers.all_exact()


async def test_a_commit_without_an_answer_is_not_repeated(workers: EngineWorkers) -> None:
    forgetful = workers.start(fault="lose-answer:3")
    for times in (1, 2):
        await said(forgetful, "ready:", times=times)
        while forgetful.log.read_text().count("cycle lost") < times:  # each third is
            await workers.feed(ONES)
    await workers.all_exact()


async def test_an_exception_in_an_agent_ends_the_process_before_anything_is_acknowledged(
    workers: EngineWorkers,
) -> None:
    failing = workers.start(fault="raise")
    await workers.feed({"good": 1})
    await workers.feed({"bad": 13} | ONES)
    assert failing.wait() == EXIT_SOFTWARE
    assert "an agent failed: ending this process" in failing.log.read_text()
    assert "bad" not in await workers.outputs()
    workers.start()
    await workers.all_exact()
