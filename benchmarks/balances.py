"""Balances: duration of refreshing wallet_balances over two years of history, and its effect on the sink.

The sink alternates between batches alone and the same number of batches beside a refresh,
so that other load on the machine affects both alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Final

import asyncpg
import msgspec

from benchmarks.history import EVENTS_A_PAYMENT, SQL, WALLET_EVENTS_A_PAYMENT, fill, migrated_database
from benchmarks.sink import PAYMENTS_A_BATCH, batches
from ledger_streams.adapters.postgres.balances import STATEMENT_S_MAX, refresh_balances
from ledger_streams.adapters.postgres.pool import Connection, Pool, create_pool
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.settings import Settings
from tests.projected import Story

ROUNDS: Final = 5
BATCHES_A_ROUND: Final = 6
WALLETS: Final = 20_000
"""Of each currency."""


class Round(msgspec.Struct):
    """Median times of the batches in one round."""

    batch_alone_ms: float
    batch_beside_ms: float
    costs_percent: float


class RefreshTiming(msgspec.Struct):
    """Durations of refreshes, and the sink's batches alone and beside a refresh."""

    wallet_events: int
    rows: int
    first_s: float
    """First refresh, of the empty view (not concurrent)."""
    unchanged_s: float
    """Refresh without new events."""
    changed_s: float
    """Refresh after one new event in every hundredth wallet."""
    batch_alone_ms: float
    """Median of the sink's batches of 500 transfers."""
    batch_beside_ms: float
    """The same during a refresh."""
    costs_percent: float
    """Median over all rounds."""
    rounds: list[Round]


async def balances(stack: Settings, *, events: int) -> RefreshTiming:
    """Create about `events` wallet events, then refresh the view alone and beside the sink."""
    of_all = round(events * EVENTS_A_PAYMENT / WALLET_EVENTS_A_PAYMENT)
    async with migrated_database(stack) as dsn:
        connection = await asyncpg.connect(dsn, command_timeout=STATEMENT_S_MAX)
        await fill(connection, events=of_all, wallets=WALLETS, tables=("wallet_events", "snapshots"))
        counts = await connection.fetchval("SELECT count(*) FROM wallet_events")
        first_s, unchanged_s = [await refresh_s(connection) for _ in range(2)]
        await connection.execute(SQL["further_events"])
        changed_s = await refresh_s(connection)
        rows = await connection.fetchval("SELECT count(*) FROM wallet_balances")
        await connection.close()
        async with await create_pool(dsn, statement_timeout_s=STATEMENT_S_MAX) as pool:
            rounds = await beside_each_other(pool)
    median = statistics.median
    return RefreshTiming(
        wallet_events=counts,
        rows=rows,
        first_s=first_s,
        unchanged_s=unchanged_s,
        changed_s=changed_s,
        batch_alone_ms=round(median(each.batch_alone_ms for each in rounds), 1),
        batch_beside_ms=round(median(each.batch_beside_ms for each in rounds), 1),
        costs_percent=round(median(each.costs_percent for each in rounds), 1),
        rounds=rounds,
    )


async def refresh_s(connection: Connection) -> float:
    """Refresh the view; return the duration in seconds."""
    began_s = time.perf_counter()
    assert await connection.fetchval("SELECT refresh_wallet_balances()")
    return round(time.perf_counter() - began_s, 2)


async def beside_each_other(pool: Pool) -> list[Round]:
    """Time the sink's batches alone and beside a refresh, in turn."""
    told = batches(Story(), 2 * ROUNDS * BATCHES_A_ROUND * PAYMENTS_A_BATCH)
    sink, left = PostgresSink(pool), iter(told[1:])
    await sink.write(told[0])
    rounds = []
    for _ in range(ROUNDS):
        alone_ms = await _median_ms(sink, [next(left) for _ in range(BATCHES_A_ROUND)])
        stop = asyncio.Event()
        refreshing = asyncio.create_task(_refresh_until(pool, stop))
        beside_ms = await _median_ms(sink, [next(left) for _ in range(BATCHES_A_ROUND)])
        stop.set()
        await refreshing
        figures = (alone_ms, beside_ms, 100 * (beside_ms / alone_ms - 1))
        rounds.append(Round(*(round(figure, 1) for figure in figures)))
    return rounds


async def _refresh_until(pool: Pool, stop: asyncio.Event) -> None:
    while not stop.is_set():
        assert await refresh_balances(pool)


async def _median_ms(sink: PostgresSink, told: list[SinkBatch]) -> float:
    took_ms = []
    for batch in told:
        began_s = time.perf_counter()
        await sink.write(batch)
        took_ms.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(took_ms)
