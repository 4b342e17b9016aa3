"""Archive: speed, file size and memory of archiving, verifying and attaching a month.

The projector's sink writes the month, so that its rows have hash chains.  Each command is a
process of its own, whose peak memory is read from /proc while it runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import asyncpg
import msgspec

from benchmarks.history import migrated_database
from benchmarks.sink import batches
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.archive.files import Archive
from ledger_streams.settings import Settings
from tests.live import LiveSystem
from tests.projected import Story

SAMPLE_EVERY_S: Final = 0.01


class Step(msgspec.Struct):
    """Time and memory of one command, including Python's start."""

    seconds: float
    rows_per_s: float
    memory_mb: float


class Months(msgspec.Struct):
    """The month, and the step of each command."""

    rows: int
    table_bytes_a_row: float
    file_bytes_a_row: float
    noted_bytes_a_row: float
    steps: dict[str, Step]


async def archive(stack: Settings, *, payments: int) -> Months:
    """Archive the events of `payments` transfers, verify them, and attach them again."""
    story = Story()
    story.now = datetime(2024, 11, 2, tzinfo=UTC)
    with TemporaryDirectory(prefix="ledger-archive-") as folder:
        async with migrated_database(stack) as dsn:
            async with await create_pool(dsn) as pool:
                for batch in batches(story, payments):
                    await PostgresSink(pool).write(batch)
            config = stack.model_copy(update={"postgres": dsn, "archive": folder})
            table_bytes = await _size(dsn, "events_y2024m11")
            steps = {"now": _run(config, "now", "--before", "2024-12")}
            noted_bytes = await _size(dsn, "archived_events")
            steps |= {"verify": _run(config, "verify"), "attach": _run(config, "attach", "2024-11")}
        (manifest,) = Archive(folder).manifests()
    rows = manifest.rows
    table_bytes_a_row, file_bytes_a_row, noted_bytes_a_row = (
        round(size / rows, 1) for size in (table_bytes, manifest.bytes, noted_bytes)
    )
    for step in steps.values():
        step.rows_per_s = round(rows / step.seconds, 1)
    return Months(rows, table_bytes_a_row, file_bytes_a_row, noted_bytes_a_row, steps)


async def _size(dsn: str, table: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        size: int = await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", table)
        return size
    finally:
        await connection.close()


def _run(config: Settings, *arguments: str) -> Step:
    began = time.perf_counter()
    environment = os.environ | LiveSystem(config).environment()
    command = [sys.executable, "-m", "ledger_streams", "archive", *arguments]
    peak_kb = 0
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        while child.poll() is None:
            peak_kb = max(peak_kb, _peak_kb(child.pid))
            time.sleep(SAMPLE_EVERY_S)
    assert child.returncode == 0, arguments
    return Step(round(time.perf_counter() - began, 2), 0.0, round(peak_kb / 1_024, 1))


def _peak_kb(pid: int) -> int:
    """Return a process's peak memory in kB; 0 if it has ended."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0
