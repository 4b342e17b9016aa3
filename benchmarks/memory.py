"""Memory: use of a worker with a million wallets in its tables, after restoring them and under load.

PostgreSQL and Redis do not have these wallets, so no projector runs; the end of a payment
is read from Kafka.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from benchmarks.rebuild import bench_wallet, fill
from benchmarks.transfers import send_all, transfers
from benchmarks.usage import Memory, memory
from benchmarks.visibility import outcomes
from tests.live import LiveSystem

READY_S_MAX: Final = 900.0
SAMPLE_EVERY_S: Final = 0.5
STILL_S: Final = 5.0
"""Time after the start, when memory that only the start needs has been freed."""


class MemoryUse(msgspec.Struct):
    """Memory of a worker in MB."""

    wallets: int
    payments: int
    """Payments of the load."""
    restored: Memory
    loaded: Memory
    """Memory when the last payment has ended."""
    loaded_max: Memory
    """Maximum until then."""
    tables_mb: float
    """Size of its tables on disk."""
    ready_s: float


async def memory_use(live: LiveSystem, *, wallets: int = 1_000_000, payments: int = 50_000) -> MemoryUse:
    """Fill wallet-events, start a worker that restores the wallets, and send payments between them."""
    await fill(live, wallets)
    began_s = time.perf_counter()
    pid = live.start("worker").pid
    await live.ready(seconds=READY_S_MAX)
    ready_s = time.perf_counter() - began_s
    await asyncio.sleep(STILL_S)
    restored = memory(pid)
    requests = transfers(payments, [bench_wallet(number) for number in range(wallets)], seed=wallets)
    async with outcomes(live.settings) as read, _watched(pid) as seen:
        await send_all(live.settings, requests)
        await read.read(payments)
    assert read.failed == 0, f"{read.failed} payments have failed"
    loaded = memory(pid)
    seen.append(loaded)
    most = Memory(max(one.rss_mb for one in seen), max(one.pss_mb for one in seen))
    size = sum(path.stat().st_size for path in live.settings.tables_dir.rglob("*") if path.is_file())
    return MemoryUse(wallets, payments, restored, loaded, most, round(size / 1e6, 1), round(ready_s, 1))


@asynccontextmanager
async def _watched(pid: int) -> AsyncIterator[list[Memory]]:
    """Samples of a process's memory."""
    seen = [memory(pid)]
    is_over = asyncio.Event()

    async def watch() -> None:
        while not is_over.is_set():
            seen.append(memory(pid))
            await asyncio.sleep(SAMPLE_EVERY_S)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        try:
            yield seen
        finally:
            is_over.set()
