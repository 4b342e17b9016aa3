"""PgBouncer overhead: cycles of transfers into an empty database, directly and through PgBouncer.

The two ways alternate cycle by cycle, so that other load on the machine affects both
alike.  The result is the median of each.
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
"""About 4,000 rows, the batch of a projector that is catching up."""
WALLETS: Final = 200


class WriteTiming(msgspec.Struct):
    """Times of one way of writing."""

    p50_ms: float
    """Percentile of the cycle times."""
    p90_ms: float
    p99_ms: float
    payments_per_s: float
    """From the median cycle time."""


async def pgbouncer_overhead(settings: Settings, *, payments: int) -> dict[str, WriteTiming]:
    """Write `payments` payments each way; return the figures by way."""
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
    """Return the batch of a cycle's transfers."""
    while len(story.wallets) < WALLETS:
        story.deposit(story.open(), 1_000_000)
    wallets = [*story.wallets]
    for number in range(PAYMENTS_PER_CYCLE):
        story.transfer(wallets[number % WALLETS], wallets[(number * 7 + 1) % WALLETS], 1)
    return story.batch()
