"""Rows of a lost log in PostgreSQL, and the move of its positions to a new log.

All rows are read under one snapshot.  Positions are moved in one transaction and only from the values
noted when the new log was filled, so they are moved once.  Events of the lost log get negative
offsets, below every offset of the new log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from ledger_streams.adapters.postgres.history_lock import check_nothing_archived
from ledger_streams.adapters.postgres.pool import Connection, open_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.replay import past_event
from ledger_streams.adapters.postgres.rows import TopicPartition
from ledger_streams.adapters.postgres.views import envelope
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.synthetic_record import SyntheticRecord

SQL: Final = queries("lost")
STATEMENT_S_MAX: Final = 3_600.0
"""Time limit of statements that read or write whole tables."""
ROWS_AT_ONCE: Final = 5_000
MOVES: Final = (
    "move_events_back",
    "move_repeats_back",
    "move_archived_back",
    "move_wallet_events_back",
    "move_days_back",
)
"""Statements that move the offsets of events and of closed days."""

Positions = dict[TopicPartition, int]


@asynccontextmanager
async def open_lost_log_rows(dsn: str) -> AsyncIterator[LostLogRows]:
    """Read the rows under one snapshot; raises Rejected while months are archived."""
    async with (
        open_connection(dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await check_nothing_archived(connection, "filling Kafka")
        yield LostLogRows(connection)


class LostLogRows:
    """Reader of the rows of the lost topics."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def positions(self) -> Positions:
        """Return how far each partition of the lost topics was projected."""
        return await _positions(self._connection)

    async def fingerprints(self) -> dict[str, str]:
        """Return the fingerprint of each payment's first request, by payment."""
        rows = await self._connection.fetch(SQL["fingerprints"], timeout=STATEMENT_S_MAX)
        return {row["payment_id"]: row["fingerprint"] for row in rows}

    async def events(self) -> AsyncIterator[SyntheticRecord]:
        """Yield the records of payment-events and saga-events, those of a partition in order."""
        async for row in self._connection.cursor(SQL["events"], prefetch=ROWS_AT_ONCE):
            yield past_event(row)

    async def wallet_events(self, *, last: bool) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield key and value of each wallet's last record, or of all that payments have caused, in order."""
        query = SQL["last_wallet_events" if last else "payments_wallet_events"]
        async for row in self._connection.cursor(query, prefetch=ROWS_AT_ONCE):
            yield row["wallet_id"].encode(), msgspec.json.encode(envelope(row))


async def move_positions(dsn: str, *, before: Mapping[TopicPartition, int | None], after: Positions) -> bool:
    """Move the projections from the lost log to the new one; False when that was done before.

    Raises InvariantBroken when they are in neither.
    """
    async with open_connection(dsn) as connection, connection.transaction():
        await connection.execute(SQL["lock_positions"])
        now = await _positions(connection)
        if any(now.get(partition) != offset for partition, offset in before.items()):
            if all(now.get(partition, 0) >= offset for partition, offset in after.items()):
                return False
            raise InvariantBroken(
                "projection_positions changed after the new log was filled from them; nothing was moved"
            )
        columns = list(zip(*((*partition, offset) for partition, offset in after.items()), strict=True))
        span = await connection.fetchval(SQL["span"], timeout=STATEMENT_S_MAX) or 0
        for statement in MOVES:
            await connection.execute(SQL[statement], span, timeout=STATEMENT_S_MAX)
        await connection.execute(SQL["put_positions"], *columns)
    return True


async def _positions(connection: Connection) -> Positions:
    rows = await connection.fetch("SELECT topic, partition, next_offset FROM projection_positions")
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
