"""A long history in a database of its own, and query plans on it.

The server generates the rows from series (history.sql), so no data is transferred, and a
count always gives the same rows.  Indexes other than keys are created after the rows.  The
count is bounded, so that a run ends by itself.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.migrations import make_partitions, upgrade
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.adapters.postgres.queries import named
from ledger_streams.settings import Settings

SQL: Final = named(Path(__file__).with_name("history.sql").read_text(encoding="utf-8"))
EVENTS_MAX: Final = 25_000_000
"""About 20 GB with indexes (3.9 GB for five million)."""
EVENTS_A_PAYMENT: Final = 7.3
"""Mean number of rows in events and wallet_events."""
WALLET_EVENTS_A_PAYMENT: Final = 1.6
TABLES: Final = ("events", "payments", "wallet_events", "postings", "snapshots")
MONTHS_DAYS: Final = 730
END: Final = datetime(2026, 11, 25, tzinfo=UTC)
STATEMENT_S_MAX: Final = 3_600.0


class QueryTiming(msgspec.Struct):
    """Best time of three runs of a statement, and its plan."""

    ms: float
    rows: int
    plan: list[str]


@asynccontextmanager
async def migrated_database(stack: Settings) -> AsyncIterator[str]:
    """Yield the DSN of a new, migrated, empty database; drop it afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = await asyncpg.connect(stack.postgres)
    await server.execute(f'CREATE DATABASE "{name}"')
    try:
        dsn = f"{stack.postgres.rpartition('/')[0]}/{name}"
        await upgrade(dsn)
        yield dsn
    finally:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await server.close()


@asynccontextmanager
async def own_database(stack: Settings) -> AsyncIterator[Connection]:
    """Yield a connection to such a database, configured for bulk work."""
    async with migrated_database(stack) as dsn:
        connection = await asyncpg.connect(dsn, command_timeout=STATEMENT_S_MAX)
        await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        try:
            yield connection
        finally:
            await connection.close()


async def fill(
    connection: Connection, *, events: int, wallets: int, tables: Sequence[str] = TABLES
) -> dict[str, float]:
    """Create a history of about `events` events, or some of its tables; return the seconds of each step."""
    assert events <= EVENTS_MAX, f"at most {EVENTS_MAX}"
    payments = max(1_000, round(events / EVENTS_A_PAYMENT))
    took_s: dict[str, float] = {}

    async def step(name: str, statement: str, *arguments: object) -> None:
        began = time.perf_counter()
        await connection.execute(statement, *arguments)
        took_s[name] = round(time.perf_counter() - began, 1)

    await step("facts", SQL["facts"], payments, END, wallets, timedelta(days=MONTHS_DAYS))
    months = [row["month"] for row in await connection.fetch(SQL["months"])]
    await make_partitions(connection, months)
    indexes = await connection.fetch(SQL["indexes"])
    await connection.execute(";".join(f"DROP INDEX {row['name']}" for row in indexes))
    for name in tables:
        await step(name, SQL[name])
    for row in indexes:
        await step(row["name"], row["definition"])
    await step("vacuum", "VACUUM (ANALYZE)")
    return took_s


async def time_query(connection: Connection, statement: str, *arguments: object) -> QueryTiming:
    """Run a statement three times under EXPLAIN (ANALYZE, BUFFERS)."""
    best: QueryTiming | None = None
    for _ in range(3):
        explained = await connection.fetch(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments, timeout=STATEMENT_S_MAX
        )
        (document,) = msgspec.json.decode(explained[0][0])
        ms = document["Planning Time"] + document["Execution Time"]
        if best is None or ms < best.ms:
            best = QueryTiming(round(ms, 2), document["Plan"]["Actual Rows"], list(nodes(document["Plan"])))
    assert best is not None
    return best


def nodes(plan: dict[str, Any], depth: int = 0) -> list[str]:
    """Yield one line per plan node: its rows and the pages read, including its children."""
    about = [
        str(plan["Node Type"]),
        *(str(plan[key]) for key in ("Index Name", "Relation Name") if key in plan),
    ]
    buffers = plan["Shared Hit Blocks"], plan["Shared Read Blocks"]
    line = f"{'  ' * depth}{' '.join(about)}: {plan['Actual Rows']} rows, {buffers[0]} + {buffers[1]} pages"
    return [line, *(inner for child in plan.get("Plans", ()) for inner in nodes(child, depth + 1))]
