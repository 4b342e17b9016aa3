"""Double-entry cost: the cost for the sink of PostgreSQL's own check of double entry.

Three databases take the same batches in turn, so that other load on the machine affects
all alike: without a check, with a check per statement (as in the migrations), and with a
deferred check per row.  The result is the median over pairs of batches.
"""

from __future__ import annotations

import statistics
import time
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
import msgspec

from benchmarks.history import migrated_database
from benchmarks.load import percentiles
from benchmarks.sink import PAYMENTS_A_BATCH, batches
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.settings import Settings
from tests.projected import Story

NO_CHECK: Final = "DROP TRIGGER postings_added ON postings"
ROW_BY_ROW: Final = f"""
{NO_CHECK};
CREATE FUNCTION posting_is_balanced() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount_minor) FROM postings
         WHERE event_id = NEW.event_id AND currency = NEW.currency) <> 0 THEN
        RAISE check_violation;
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER posting_added AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED
   FOR EACH ROW EXECUTE FUNCTION posting_is_balanced()"""
WAYS: Final = {"none": NO_CHECK, "statement": "SELECT", "row": ROW_BY_ROW}


class CheckCost(msgspec.Struct):
    """Batch times with one kind of check."""

    p50_ms: float
    """Percentile of the batch times."""
    p90_ms: float
    p99_ms: float
    payments_per_s: float
    """From the median batch time."""
    costs_percent: float
    """Median over the batches of the extra time compared with the same batch without a check."""


async def double_entry_cost(stack: Settings, *, payments: int) -> dict[str, CheckCost]:
    """Write `payments` transfers with each kind of check; return the figures by kind."""
    took_ms: dict[str, list[float]] = {way: [] for way in WAYS}
    told = batches(Story(), payments)
    async with AsyncExitStack() as open_still:
        sinks = {}
        for way, changes in WAYS.items():
            dsn = await open_still.enter_async_context(migrated_database(stack))
            connection = await asyncpg.connect(dsn)
            await connection.execute(changes)
            await connection.close()
            sinks[way] = PostgresSink(await open_still.enter_async_context(await create_pool(dsn)))
            await sinks[way].write(told[0])
        ways = [*sinks]
        for number, batch in enumerate(told[1:]):
            for way in ways[number % 3 :] + ways[: number % 3]:
                began_s = time.perf_counter()
                await sinks[way].write(batch)
                took_ms[way].append((time.perf_counter() - began_s) * 1_000)
    return {way: _figures(took_ms["none"], times) for way, times in took_ms.items()}


def _figures(without_ms: list[float], took_ms: list[float]) -> CheckCost:
    p50_ms, p90_ms, p99_ms = percentiles(took_ms)
    ratios = [took / without for took, without in zip(took_ms, without_ms, strict=True)]
    costs_percent = round(100 * (statistics.median(ratios) - 1), 1)
    per_s = round(PAYMENTS_A_BATCH / p50_ms * 1_000, 1)
    return CheckCost(p50_ms, p90_ms, p99_ms, per_s, costs_percent)
