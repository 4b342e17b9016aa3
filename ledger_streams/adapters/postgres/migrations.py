"""Schema migrations: pairs of plain SQL files, applied in order, each in a transaction of its own.

An applied migration is stored with its checksum: a file that changed afterwards is a
broken invariant, not a new migration.  Each transaction takes an advisory lock
first, so several workers may upgrade at once.  (yoyo and alembic would each bring
a second PostgreSQL driver for these few lines.)
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from functools import cache
from typing import Final, NamedTuple

import asyncpg

from ledger_streams.adapters.postgres.pool import Connection, open_connection
from ledger_streams.adapters.postgres.queries import queries, sql_folder
from ledger_streams.errors import InvariantBroken, Rejected

_UP: Final = re.compile(r"(\d{4})_(\w+)\.up\.sql")
MONTHS_PAST: Final = 12
"""Partitions made at an upgrade; a record from outside may lie a month back, an import's test data more."""
MONTHS_AHEAD: Final = 3
"""Partitions made ahead, enough for weeks; a projector also makes a missing one itself."""


class Migration(NamedTuple):
    """A migration of this version of the code."""

    number: int
    name: str
    up: str
    down: str

    @property
    def checksum(self) -> str:
        """Return the hash of the migration's SQL."""
        return hashlib.sha256(self.up.encode()).hexdigest()


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, in order."""
    folder = sql_folder() / "migrations"
    found = []
    for file in folder.iterdir():
        if match := _UP.fullmatch(file.name):
            down = folder / file.name.replace(".up.", ".down.")
            name = f"{match[1]}_{match[2]}"
            found.append(Migration(int(match[1]), name, file.read_text("utf-8"), down.read_text("utf-8")))
    return tuple(sorted(found))


async def upgrade(dsn: str) -> list[str]:
    """Apply what is missing and make the partitions around today; return the names of what was applied."""
    async with open_connection(dsn) as connection:
        await _prepare(connection)
        applied = [step.name for step in migrations() if await _apply(connection, step)]
        await ensure_partitions(connection)
        return applied


async def downgrade(dsn: str, to: int) -> list[str]:
    """Take back every migration above number `to`, newest first; return their names.  Data is lost."""
    async with open_connection(dsn) as connection:
        await _prepare(connection)
        newest_first = reversed(migrations())
        return [step.name for step in newest_first if step.number > to and await _revert(connection, step)]


async def ensure_partitions(
    connection: Connection, *, months_past: int = MONTHS_PAST, months_ahead: int = MONTHS_AHEAD
) -> int:
    """Make the partitions of the months around today that are missing; return how many were."""
    today = datetime.now(UTC).date()
    months = [_month_plus(today, months) for months in range(-months_past, months_ahead + 1)]
    return await make_partitions(connection, months)


async def make_partitions(connection: Connection, months: list[date]) -> int:
    """Make the partitions of the months that are missing, in one transaction; return how many were."""
    made: int = await connection.fetchval(queries("migrations")["make_partitions"], sorted(months))
    return made


def _month_plus(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


async def _prepare(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(queries("migrations")["lock"])
        await connection.execute(queries("migrations")["create_log"])


async def _apply(connection: Connection, step: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(queries("migrations")["lock"])
        checksum = await connection.fetchval(queries("migrations")["applied"], step.number)
        if checksum is None:
            await connection.execute(step.up)
            await connection.execute(queries("migrations")["log"], step.number, step.name, step.checksum)
            return True
    if checksum != step.checksum:
        raise InvariantBroken(
            f"migration {step.name} differs from the one applied to this database: restore its file"
        )
    return False


async def _revert(connection: Connection, step: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(queries("migrations")["lock"])
        if await connection.fetchval(queries("migrations")["applied"], step.number) is None:
            return False
        try:
            await connection.execute(step.down)
        except asyncpg.RaiseError as error:  # the migration names its reason
            raise Rejected(status=409, title="In use", detail=f"{step.name}: {error}") from error
        await connection.execute(queries("migrations")["unlog"], step.number)
        return True
