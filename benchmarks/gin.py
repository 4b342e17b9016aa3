"""GIN: cost of the event store's GIN index with jsonb_ops, with jsonb_path_ops, and without.

The same rows are inserted into each table in turn, three times, in batches as large as a
projector's cycle, with all other indexes of `events`.  The time includes emptying the pending
lists.  Two queries show which questions each index answers.
"""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median
from typing import Final

import msgspec

from benchmarks.history import END, EVENTS_MAX, MONTHS_DAYS, SQL, own_database, time_query
from ledger_streams.adapters.postgres.migrations import make_partitions
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.settings import Settings

ROUNDS: Final = 3
ROWS_A_BATCH: Final = 3_000
EVENTS_A_PAYMENT: Final = 5.5
OPERATORS: Final = {"none": None, "jsonb_path_ops": "jsonb_path_ops", "jsonb_ops": "jsonb_ops"}
OTHERS: Final = """
CREATE TABLE filled (LIKE events INCLUDING DEFAULTS, PRIMARY KEY (event_id, occurred_at));
CREATE INDEX ON filled (aggregate_id, event_version);
CREATE INDEX ON filled (event_type, occurred_at);
CREATE INDEX ON filled USING BRIN (source_offset int8_minmax_multi_ops);"""
BATCH: Final = "INSERT INTO filled SELECT (e.row).* FROM told e WHERE number > $1 AND number <= $1 + $2"
HAS_FIELD: Final = "SELECT event_id FROM filled WHERE event_data ? 'new_field'"
CONTAINS: Final = """SELECT event_id FROM filled WHERE event_data @> (
    SELECT jsonb_build_object('source_wallet_id', (row).event_data -> 'source_wallet_id') FROM told
     WHERE (row).event_data ? 'source_wallet_id' LIMIT 1)"""


class IndexTiming(msgspec.Struct):
    """Insert rate, size and query times with one operator class."""

    rows: int
    insert_s: float
    rows_per_s: float
    index_mb: float
    has_field_ms: float
    contains_ms: float


class InsertTiming(msgspec.Struct):
    """All rounds with one operator class, and the median of each figure."""

    median: IndexTiming
    rounds: list[IndexTiming]


async def gin(stack: Settings, *, events: int) -> dict[str, InsertTiming]:
    """Create `events` events once, and insert them with each operator class in turn."""
    async with own_database(stack) as connection:
        rows = await _tell(connection, events)
        found: dict[str, list[IndexTiming]] = {name: [] for name in OPERATORS}
        for _ in range(ROUNDS):
            for name, operators in OPERATORS.items():
                found[name].append(await _filled(connection, operators, rows))
        return {name: InsertTiming(_median(rounds), rounds) for name, rounds in found.items()}


async def _tell(connection: Connection, events: int) -> int:
    """Create the rows in the table `told`, numbered in the order of their occurrence."""
    assert events <= EVENTS_MAX, f"at most {EVENTS_MAX}"
    payments = round(events / EVENTS_A_PAYMENT)
    await connection.execute(SQL["facts"], payments, END, 20_000, timedelta(days=MONTHS_DAYS))
    await make_partitions(connection, [row["month"] for row in await connection.fetch(SQL["months"])])
    await connection.execute(SQL["events"])
    numbered = "SELECT row_number() OVER (ORDER BY occurred_at) AS number, e AS row FROM events e"
    await connection.execute(f"CREATE TABLE told AS {numbered}")
    await connection.execute("CREATE UNIQUE INDEX ON told (number)")
    await connection.execute("VACUUM ANALYZE told")
    count: int = await connection.fetchval("SELECT count(*) FROM told")
    return count


async def _filled(connection: Connection, operators: str | None, rows: int) -> IndexTiming:
    await connection.execute(OTHERS)
    if operators:
        await connection.execute(f"CREATE INDEX filled_data ON filled USING GIN (event_data {operators})")
    began = time.perf_counter()
    for first in range(0, rows, ROWS_A_BATCH):
        await connection.execute(BATCH, first, ROWS_A_BATCH)
    if operators:
        await connection.execute("SELECT gin_clean_pending_list('filled_data')")
    seconds = time.perf_counter() - began
    await connection.execute("VACUUM ANALYZE filled")
    size_bytes = await connection.fetchval("SELECT pg_relation_size(to_regclass('filled_data'))") or 0
    answers = [(await time_query(connection, question)).ms for question in (HAS_FIELD, CONTAINS)]
    await connection.execute("DROP TABLE filled")
    figures = (seconds, rows / seconds, size_bytes / 1e6, *answers)
    return IndexTiming(rows, *(round(figure, 2) for figure in figures))


def _median(rounds: list[IndexTiming]) -> IndexTiming:
    columns = zip(*(msgspec.structs.astuple(one) for one in rounds), strict=True)
    rows, *others = (median(column) for column in columns)
    return IndexTiming(int(rows), *(round(value, 2) for value in others))
