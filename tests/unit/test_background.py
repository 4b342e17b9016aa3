"""Background tasks: none of them ends unseen."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from prometheus_client import REGISTRY

from ledger_streams import background
from ledger_streams.process_exit import EXIT_SOFTWARE


def failures(task: str) -> float:
    return REGISTRY.get_sample_value("ledger_background_task_failures_total", {"task": task}) or 0.0


async def test_a_task_that_fails_is_logged_counted_and_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Exception] = []
    again = asyncio.Event()

    async def run() -> None:
        if not told:
            raise KeyError("a partition")
        again.set()
        await asyncio.Event().wait()

    task = background.start("of-a-test", run, on_failure=told.append)
    await asyncio.wait_for(again.wait(), 5)
    task.cancel()
    await asyncio.wait({task})
    assert ([*map(repr, told)], failures("of-a-test"), task.cancelled()) == (
        ["KeyError('a partition')"],
        1,
        True,
    )
    assert "Background task of-a-test failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_task_whose_own_future_was_cancelled_begins_anew() -> None:
    again = asyncio.Event()

    async def run() -> None:
        if failures("cancelled-inside"):
            again.set()
            return
        broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        broken.cancel()
        await broken

    await asyncio.wait_for(background.start("cancelled-inside", run), 5)
    assert again.is_set()


@pytest.mark.parametrize(
    "fails",
    [
        "background.start('t', run, policy=background.Policy.END)",
        "background.start('t', broken)",
    ],
    ids=["a task that correctness depends on", "a broken invariant"],
)
def test_the_process_exits_after_a_broken_invariant(fails: str) -> None:
    code = f"""
import asyncio
from ledger_streams import background
from ledger_streams.errors import InvariantBroken

async def run(): raise KeyError
async def broken(): raise InvariantBroken("a test's")
async def main():
    task = {fails}
    await asyncio.sleep(30)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False)
    assert ended.returncode == EXIT_SOFTWARE, ended.stderr
