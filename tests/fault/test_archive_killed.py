"""`archive now` and `attach` killed at any point: no row is lost or repeated."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from ledger_streams.archive.months import attach_month
from ledger_streams.settings import Settings
from tests.archived import NOVEMBER, OCTOBER, Old, old
from tests.live import LiveSystem, Process, eventually
from tests.projections import differing

PAYMENTS = 600
KILLS = 4
WAITS_FOR_READER = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass"
ROWS = (
    "SELECT count(*) AS rows, count(DISTINCT (event_id, occurred_at)) AS different FROM ("
    "SELECT event_id, occurred_at FROM events UNION ALL SELECT event_id, occurred_at FROM archived_events) e"
)


@pytest.fixture
async def told(schema_only: Settings, tmp_path: Path) -> AsyncIterator[Old]:
    async with old(schema_only, tmp_path) as told:
        await told.tell(PAYMENTS)
        yield told


def command(scenario: Old, *arguments: str) -> Process:
    whole = [sys.executable, "-m", "ledger_streams", "archive", *arguments]
    environment = LiveSystem(scenario.config).environment()
    return Process("archive", whole, environment, scenario.config.home / "archive.log")


async def check_every_row_is_somewhere_once(scenario: Old, rows: int) -> None:
    found = await scenario.pool.fetchrow(ROWS)
    assert found is not None
    assert (found["rows"], found["different"]) == (rows, rows)


async def whole(scenario: Old, before: dict[str, list[str]]) -> None:
    """Archive what is left, verify it, and put it back."""
    await scenario.archive()
    assert await scenario.touched() == []
    for month in (OCTOBER, NOVEMBER):
        await attach_month(scenario.config, month)
    assert differing(before, await scenario.tables()) == {}


@pytest.mark.parametrize("moment", ["writes", "has written", "waits"])
async def test_an_archiving_killed_before_or_during_writing_or_dropping_is_completed_by_the_next(
    scenario: Old, moment: str
) -> None:
    before = await scenario.tables()
    killed = command(scenario, "now", "--before", "2024-12")

    async def is_there() -> bool:
        if moment == "waits":
            return bool(await scenario.pool.fetchval(WAITS_FOR_READER))
        return any(scenario.folder.glob("*.tmp" if moment == "writes" else "*m11*.manifest.json"))

    async with AsyncExitStack() as reading:
        if moment == "waits":
            reader = await reading.enter_async_context(scenario.pool.acquire())
            await reading.enter_async_context(reader.transaction())
            await reader.fetch("SELECT count(*) FROM events")
        killed.start()
        await eventually(is_there, what=f"it {moment}: {killed.tail()}", every_s=0.002)
        killed.kill()
    await check_every_row_is_somewhere_once(scenario, len(before["events"]))
    await whole(scenario, before)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_archiving_killed_repeatedly_at_random_moments_completes(scenario: Old, seed: int) -> None:
    random, before, took_s = Random(seed), await scenario.tables(), 0.0
    for arguments in (("now", "--before", "2024-12"), ("attach", "2024-11")):
        for number in range(KILLS + 1):
            process = command(scenario, *arguments)
            process.start()
            began_s, kill_at_s = time.monotonic(), random.uniform(0, took_s or 2.0)

            async def is_over(
                process: Process = process,
                kill_at_s: float = began_s + kill_at_s if number < KILLS else began_s + 60,
            ) -> bool:
                return process.exit_code is not None or time.monotonic() > kill_at_s

            await eventually(is_over, what="it ends, or is killed", every_s=0.005)
            process.kill()
            took_s = max(took_s, time.monotonic() - began_s)
            await check_every_row_is_somewhere_once(scenario, len(before["events"]))
    await attach_month(scenario.config, OCTOBER)
    assert differing(before, await scenario.tables()) == {}
    await whole(scenario, before)
