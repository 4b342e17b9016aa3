"""Bounced: cycles of transfers into an empty database with all its indexes, directly and through PgBouncer.

The two ways take turns cycle by cycle, so that a machine which is busy with other
things is busy for both; what counts is the median of each.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.load import percentiles
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.settings import Settings
from tests.bouncer import bouncer
from tests.projected import Story

PAYMENTS_PER_CYCLE: Final = 400
"""Some 4,000 rows, as many as a projector that has something to catch up writes at once."""
WALLETS: Final = 200


class WriteTiming(msgspec.Struct):
    """How fast one way of writing was."""

    p50_ms: float
    """Of a cycle."""
    p90_ms: float
    p99_ms: float
    payments_per_s: float
    """By the median."""


async def pgbouncer_overhead(settings: Settings, *, payments: int) -> dict[str, WriteTiming]:
    """Write so many payments each way; return the figures by way."""
    took_ms: dict[str, list[float]] = {"direct": [], "pgbouncer": []}
    async with AsyncExitStack() as stack:
        way_in = await stack.enter_async_context(bouncer(settings, Path(settings.home)))
        sinks = {
            way: PostgresSink(await stack.enter_async_context(await create_pool(dsn)))
            for way, dsn in (("direct", way_in.postgres), ("pgbouncer", way_in.pooled_postgres))
        }
        stories = {way: Story() for way in sinks}
        for _ in range(payments // PAYMENTS_PER_CYCLE):
            for way, written in sinks.items():
                batch = transfer_batch(stories[way])
                began_s = time.perf_counter()
                await written.write(batch)
                took_ms[way].append((time.perf_counter() - began_s) * 1_000)
    return {way: _figures(times) for way, times in took_ms.items()}


def _figures(took_ms: list[float]) -> WriteTiming:
    p50_ms, p90_ms, p99_ms = percentiles(took_ms)
    return WriteTiming(p50_ms, p90_ms, p99_ms, round(PAYMENTS_PER_CYCLE / p50_ms * 1_000, 1))


def transfer_batch(story: Story) -> SinkBatch:
    """Tell a cycle's transfers."""
    while len(story.wallets) < WALLETS:
        story.deposit(story.open(), 1_000_000)
    wallets = [*story.wallets]
    for number in range(PAYMENTS_PER_CYCLE):
        story.transfer(wallets[number % WALLETS], wallets[(number * 7 + 1) % WALLETS], 1)
    return story.batch()
