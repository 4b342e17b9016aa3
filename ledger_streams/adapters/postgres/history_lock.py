"""The lock on the whole history, and the check that all of it is in PostgreSQL.

A rebuild and an archive run exclude each other by one session lock; a killed command releases it.
Commands that need every event check for archived months before they change anything.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from ledger_streams.adapters.postgres.pool import Connection, is_behind_pooler
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.errors import Rejected, Unavailable

SQL: Final = queries("archive")
POLL_INTERVAL_S: Final = 0.2


async def lock_history(connection: Connection, *, patience_s: float = 0.0) -> None:
    """Take the lock for the life of the connection; raises Unavailable while another command has it."""
    if await is_behind_pooler(connection):
        detail = (
            "this command needs a session: set LEDGER_POSTGRES to PostgreSQL, LEDGER_PGBOUNCER to its pooler"
        )
        raise Unavailable(dependency="postgres", detail=detail)
    give_up_at_s = time.monotonic() + patience_s
    while not await connection.fetchval(SQL["keep"]):
        if time.monotonic() >= give_up_at_s:
            detail = (
                "another replay or archive command of this database is running; try again when it has ended"
            )
            raise Unavailable(dependency="postgres", detail=detail)
        await asyncio.sleep(POLL_INTERVAL_S)


async def archived_months(connection: Connection) -> list[str]:
    """Return the archived months, as 2024-11, in order."""
    if not await connection.fetchval(SQL["has_archives"]):
        return []
    return [row["month"] for row in await connection.fetch(SQL["archived_months"])]


async def check_nothing_archived(connection: Connection, what: str) -> None:
    """Raise Rejected with the archived months, if any; `what` names the command that needs all events."""
    if months := await archived_months(connection):
        detail = (
            f"{what} needs all events, and those of {', '.join(months)} are archived: "
            f"`ledger-streams archive attach MONTH` puts them back"
        )
        raise Rejected(status=409, title="Archived", detail=detail)
