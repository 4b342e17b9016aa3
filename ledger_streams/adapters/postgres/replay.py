"""Tables for a rebuild of the projections: a schema beside the live one, swapped in one transaction.

The live tables are unchanged until the swap, which is one transaction: projectors wait for it, and
readers see either the old or the new tables.  The rebuilt positions then equal those of the
projectors, which continue without a restart.  A killed rebuild leaves a schema behind, which the next
one drops.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.history_lock import check_nothing_archived, lock_history
from ledger_streams.adapters.postgres.migrations import upgrade
from ledger_streams.adapters.postgres.pool import Connection, Pool, open_connection, open_pool
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.rows import TopicPartition
from ledger_streams.adapters.postgres.views import envelope, wire_time
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka.synthetic_record import SyntheticRecord

SQL: Final = queries("replay")
PARKED_SQL: Final = queries("parked")
SCHEMA: Final = "replay"
TABLES: Final = (
    "events",
    "event_repeats",
    "payments",
    "wallet_events",
    "wallet_snapshots",
    "postings",
    "projection_positions",
    "parked_records",
)
"""Tables that a projector writes."""
SWAPPED: Final = (*TABLES, "wallet_balances_refreshed")
"""With the table of the balance view's refresh time."""
STATEMENT_S_MAX: Final = 3_600.0
"""Some statements read whole tables."""
ROWS_AT_ONCE: Final = 5_000

Gap = tuple[str, int, int]
"""A wallet, a version that is there, and the next one that is there."""
CatchUp = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]


class RebuildTables(NamedTuple):
    """The live tables, and a pool for which the rebuilt ones are all there is."""

    live: LiveTables
    pool: Pool


@asynccontextmanager
async def open_rebuild_tables(dsn: str) -> AsyncIterator[RebuildTables]:
    """Create the empty tables beside the live ones; raises Unavailable while another command rebuilds.

    Raises Rejected while months are archived.  Without a swap the tables stay for inspection until the
    next rebuild.
    """
    async with open_connection(dsn) as connection:
        await lock_history(connection)
        await check_nothing_archived(connection, "a replay of the projections")
        await connection.execute(SQL["drop"])
        await connection.execute(SQL["create"])
        beside = _rebuild_dsn(dsn)
        await upgrade(beside)
        if await connection.fetch(SQL["migrations_that_differ"]):
            raise InvariantBroken("the live schema is not this version's: run `ledger-streams db upgrade`")
        async with open_pool(beside, statement_timeout_s=STATEMENT_S_MAX) as pool:
            yield RebuildTables(LiveTables(connection), pool)


class LiveTables:
    """Queries on the live tables, and the swap."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def positions(self) -> dict[TopicPartition, int]:
        """Return how far the live projections are."""
        rows = await self._connection.fetch("SELECT topic, partition, next_offset FROM projection_positions")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def past_events(
        self, begins: Mapping[TopicPartition, int]
    ) -> AsyncIterator[tuple[TopicPartition, list[SyntheticRecord]]]:
        """Yield the records of payment-events and saga-events before `begins`, in order, by partition."""
        columns = list(zip(*((*partition, begin) for partition, begin in begins.items()), strict=True))
        records: list[SyntheticRecord] = []
        source: TopicPartition = ("", 0)
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in self._connection.cursor(SQL["past_events"], *columns, prefetch=ROWS_AT_ONCE):
                record = past_event(row)
                if records and (source != (record.topic, record.partition) or len(records) == ROWS_AT_ONCE):
                    yield source, records
                    records = []
                source = record.topic, record.partition
                records.append(record)
        if records:
            yield source, records

    async def past_wallet_events(
        self, gaps: Sequence[Gap], source: TopicPartition
    ) -> dict[tuple[str, int], list[SyntheticRecord]]:
        """Return the records of each gap in order, by wallet and the version that comes after."""
        columns = list(zip(*gaps, strict=True))
        found: dict[tuple[str, int], list[SyntheticRecord]] = {}
        rows = await self._connection.fetch(SQL["past_wallet_events"], *columns, timeout=STATEMENT_S_MAX)
        for row in rows:
            record = _past(row, envelope(row), row["wallet_id"], source, offset=row["source_offset"])
            found.setdefault((row["wallet_id"], row["before_version"]), []).append(record)
        return found

    async def parked(self) -> list[asyncpg.Record]:
        """Return all that was ever parked."""
        return list(await self._connection.fetch(PARKED_SQL["all"], timeout=STATEMENT_S_MAX))

    async def keep_unreadable(self, fingerprint: str) -> None:
        """Give the rebuilt payments those that are known by nothing but this fingerprint."""
        await self._connection.execute(SQL["past_unreadable"], fingerprint, timeout=STATEMENT_S_MAX)

    async def rows(self) -> dict[str, int]:
        """Count the rows of each live table."""
        return await rows(self._connection, schema=await self._connection.fetchval("SELECT current_schema()"))

    async def swap(self, catch_up: CatchUp, *, endings_stay: bool) -> None:
        """Replace the live tables by the rebuilt ones in one transaction; `catch_up` gets the live positions.

        With `endings_stay`, raises InvariantBroken when an ended payment has not ended in the rebuilt
        tables.  Raises Unavailable when readers keep the tables locked: try again.
        """
        async with self._connection.transaction():
            await self._connection.execute(SQL["lock_balances"], timeout=STATEMENT_S_MAX)
            await self._connection.execute(SQL["lock_positions"], timeout=STATEMENT_S_MAX)
            await catch_up(await self.positions())
            if endings_stay and (payment := await self._ending_lost()):
                raise InvariantBroken(f"payment {payment} has ended, and its outcome is missing in `events`")
            await self._connection.execute(SQL["keep_places"], timeout=STATEMENT_S_MAX)
            await self._connection.execute(SQL["keep_parked"], timeout=STATEMENT_S_MAX)
            try:
                await self._connection.execute(SQL["lock_timeout"])
                await self._connection.execute(SQL["lock_tables"])
                for step in await self._connection.fetch(SQL["swap"], SWAPPED):
                    await self._connection.execute(step["statement"])
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                raise Unavailable(dependency="postgres", detail=f"tables in use: {error}") from error
            except asyncpg.DependentObjectsStillExistError as error:
                raise InvariantBroken(f"others depend on the live tables: {error.detail}") from error

    async def _ending_lost(self) -> str | None:
        lost: str | None = await self._connection.fetchval(SQL["endings_lost"], timeout=STATEMENT_S_MAX)
        return lost


async def rows(connection: Connection, *, schema: str = SCHEMA) -> dict[str, int]:
    """Count the rows of each projected table of a schema."""
    found = await connection.fetch(SQL["rows"], schema, TABLES, timeout=STATEMENT_S_MAX)
    counts = {row["name"]: row["rows"] for row in found}
    return {name: counts[name] for name in TABLES}


def _rebuild_dsn(dsn: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(query=urlencode([*parse_qsl(parts.query), ("search_path", SCHEMA)])).geturl()


def past_event(row: asyncpg.Record) -> SyntheticRecord:
    """Make the record of payment-events or saga-events from its row."""
    fields = ("event_id", "event_type", "aggregate_id", "event_version", "correlation_id", "causation_id")
    document: dict[str, Any] = {name: row[name] for name in fields}
    document["occurred_at"] = wire_time(row["occurred_at"])
    document["data"] = msgspec.Raw(row["event_data"].encode())
    source = row["topic"], row["source_partition"]
    return _past(row, document, row["aggregate_id"], source, offset=row["source_offset"])


def _past(
    row: asyncpg.Record, document: Mapping[str, Any], key: str, source: TopicPartition, *, offset: int
) -> SyntheticRecord:
    """Make a record; it counts as appended when it occurred, which its topic allows."""
    appended_ms = int(row["occurred_at"].timestamp() * 1_000)
    return SyntheticRecord(*source, offset, appended_ms, key.encode(), msgspec.json.encode(document))
