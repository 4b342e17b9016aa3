"""Archived months in PostgreSQL: rows leave `events` for a file and return from it.

One transaction retires a month: it notes the chain hash of each row, then detaches and drops the
partition.  At every moment the rows are complete either in the table or in the file.  A writer of a
late event waits for that transaction, or creates the partition anew for the late events alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from itertools import chain
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.history_lock import lock_history
from ledger_streams.adapters.postgres.migrations import make_partitions
from ledger_streams.adapters.postgres.pool import Connection, open_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.archive.files import ArchivedRow, Manifest, month_name
from ledger_streams.errors import InvariantBroken, Rejected, Unavailable
from ledger_streams.resilience import Backoff, retried

SQL: Final = queries("archive")
STATEMENT_S_MAX: Final = 3_600.0
"""Time limit of one statement; some read or write a whole month."""
ROWS_AT_ONCE: Final = 2_000
PATIENCE_S: Final = 10.0
"""Wait for the lock.  The server notices a killed command in this time, unless it ran a long statement."""
DETACH_BACKOFF: Final = Backoff(first_ms=100, wait_ms_max=1_000, attempts_max=20)
"""Wait for readers to release the partition: they hold it for milliseconds, a long report makes it fail."""
COLUMNS: Final = ArchivedRow.__struct_fields__


class ArchivedFile(NamedTuple):
    """A file whose rows are no longer in `events`."""

    month: date
    part: int
    file: str
    rows: int
    sha256: str


@asynccontextmanager
async def lock_months(dsn: str, *, patience_s: float = PATIENCE_S) -> AsyncIterator[Months]:
    """Lock the months for this command.

    Raises Unavailable while another command rebuilds or archives, and Rejected for a role that does
    not own the tables.
    """
    async with open_connection(dsn) as connection:
        await _check_schema(connection)
        await lock_history(connection, patience_s=patience_s)
        try:
            yield Months(connection)
        except asyncpg.InsufficientPrivilegeError as error:
            detail = f"{error}: set LEDGER_POSTGRES_ADMIN"
            raise Rejected(status=403, title="Not allowed", detail=detail) from error


@asynccontextmanager
async def read_months(dsn: str) -> AsyncIterator[Months]:
    """Read the months under one snapshot."""
    async with (
        open_connection(dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await _check_schema(connection)
        yield Months(connection)


async def _check_schema(connection: Connection) -> None:
    if not await connection.fetchval(SQL["has_archives"]):
        raise InvariantBroken("the schema has no table `archives` yet: run `ledger-streams db upgrade`")


class Months:
    """The months of `events`; made by `lock_months` or `read_months`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def partitions(self) -> list[date]:
        """Return the months that have a partition, in order."""
        return [row["month"] for row in await self.connection.fetch(SQL["partitions"])]

    async def archives(self) -> list[ArchivedFile]:
        """Return the archived files by month and part."""
        return [ArchivedFile(*row) for row in await self.connection.fetch(SQL["archives"])]

    async def standing(self) -> dict[date, int]:
        """Count the rows of each month in the table."""
        rows = await self.connection.fetch(SQL["standing"], timeout=STATEMENT_S_MAX)
        return {row["month"]: row["rows"] for row in rows}

    async def schema(self) -> int:
        """Return the last migration's number; InvariantBroken when `events` has other columns than a file."""
        columns = {row["name"] for row in await self.connection.fetch(SQL["columns"])}
        if columns != set(COLUMNS):
            raise InvariantBroken(
                f"`events` and the archive differ in columns: {sorted(columns ^ set(COLUMNS))}"
            )
        number: int = await self.connection.fetchval(SQL["schema_number"])
        return number

    async def rows(self, month: date) -> AsyncGenerator[ArchivedRow, None]:
        """Yield the month's rows in the order of their chains, under one snapshot."""
        async with self.connection.transaction(isolation="repeatable_read", readonly=True):
            cursor = self.connection.cursor(
                SQL["rows"], month, prefetch=ROWS_AT_ONCE, timeout=STATEMENT_S_MAX
            )
            async for row in cursor:
                yield ArchivedRow(**{**row, "event_data": msgspec.Raw(row["event_data"].encode())})

    async def retire(
        self, month: date, manifest: Manifest | None, *, detach_backoff: Backoff = DETACH_BACKOFF
    ) -> bool:
        """Note the month's rows as archived in the file and drop their partition, in one transaction.

        Returns False and changes nothing when rows arrived after the file was written.  Without a
        manifest the month has to be empty.  Raises Unavailable when readers keep the partition locked.
        """
        async with self.connection.transaction():
            await self.connection.execute(await self.connection.fetchval(SQL["hold_still"], month))
            rows = await self.connection.fetchval(SQL["count"], month, timeout=STATEMENT_S_MAX)
            if rows != (manifest.rows if manifest else 0):
                return False
            if manifest:
                noted = ArchivedFile(month, manifest.part, manifest.file, rows, manifest.sha256)
                await self.connection.execute(SQL["note_file"], *noted)
                await self.connection.execute(SQL["note_rows"], *noted[:2], timeout=STATEMENT_S_MAX)
            purpose = f"dropping the partition of {month_name(month)}"
            await retried(lambda: self._drop(month), purpose=purpose, backoff=detach_backoff)
        return True

    async def attach(self, archived: ArchivedFile, rows: Iterator[ArchivedRow]) -> None:
        """Insert the rows of a file into `events` at their current offsets, in one transaction."""
        await make_partitions(self.connection, [archived.month])
        async with self.connection.transaction():
            await self.connection.execute(SQL["lock_noted"])
            first = next(rows)
            now = await self.connection.fetchval(SQL["offset_now"], first.event_id, first.occurred_at)
            records = _records(chain([first], rows), moved=first.source_offset - now)
            try:
                await self.connection.copy_records_to_table(
                    "events", records=records, columns=COLUMNS, timeout=STATEMENT_S_MAX
                )
            except asyncpg.UniqueViolationError as error:
                raise InvariantBroken(f"an archived event is in `events`: {error.detail}") from error
            place = archived.month, archived.part
            forgotten = await self.connection.execute(SQL["forget_rows"], *place, timeout=STATEMENT_S_MAX)
            if _count(forgotten) != archived.rows:
                raise InvariantBroken(
                    f"{archived.file}: PostgreSQL notes {_count(forgotten)} of its {archived.rows} rows; "
                    "nothing was attached"
                )
            await self.connection.execute(SQL["forget_file"], *place)

    async def _drop(self, month: date) -> None:
        try:
            async with self.connection.transaction():
                await self.connection.execute(SQL["lock_timeout"])
                for step in await self.connection.fetch(SQL["retire"], month):
                    await self.connection.execute(step["statement"])
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            raise Unavailable(
                dependency="postgres", detail=f"the partition of `events` is locked by a reader: {error}"
            ) from error
        except asyncpg.DependentObjectsStillExistError as error:
            raise Rejected(
                status=409,
                title="In use",
                detail=f"other database objects depend on the partition: {error.detail}",
            ) from error


def _records(rows: Iterable[ArchivedRow], *, moved: int) -> Iterator[Sequence[Any]]:
    """Yield rows for COPY."""
    for row in rows:
        values = msgspec.structs.asdict(row)
        values["event_data"] = bytes(row.event_data).decode()
        values["source_offset"] = row.source_offset - moved
        values["chain_hash"] = None if row.chain_hash is None else bytes.fromhex(row.chain_hash)
        yield tuple(values.values())


def _count(status: str) -> int:
    """Read the number of rows from a command tag: `INSERT 0 5`, `DELETE 5`."""
    return int(status.rpartition(" ")[2])
