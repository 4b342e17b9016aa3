"""Statements and sizes of a database, from pg_stat_statements and PostgreSQL's statistics."""

from __future__ import annotations

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.pool import open_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.errors import Unavailable


class Statement(msgspec.Struct, frozen=True):
    """A statement, whatever its arguments, and its times since the statistics were last reset."""

    calls: int
    mean_ms: float
    total_ms: float
    rows: int
    hit_percent: float | None
    statement: str


class Sized(msgspec.Struct, frozen=True):
    """A table; its rows are an estimate."""

    table: str
    rows: int
    table_bytes: int
    index_bytes: int
    dead_percent: float | None
    vacuumed_at: str | None


async def top(dsn: str, *, limit: int) -> list[Statement]:
    """Return the statements with the largest total time; raises Unavailable when they are not counted."""
    try:
        return [Statement(*row) for row in await _rows(dsn, "top", limit)]
    except (asyncpg.UndefinedTableError, asyncpg.ObjectNotInPrerequisiteStateError) as error:
        raise Unavailable(
            dependency="postgres",
            detail=f"statements are not counted, pg_stat_statements is missing: {error}",
        ) from error


async def sizes(dsn: str, *, limit: int) -> list[Sized]:
    """Return the largest tables, largest first."""
    return [Sized(*row) for row in await _rows(dsn, "sizes", limit)]


async def _rows(dsn: str, query: str, limit: int) -> list[asyncpg.Record]:
    async with open_connection(dsn) as connection:
        return list(await connection.fetch(queries("activity")[query], limit))
