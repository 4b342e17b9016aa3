"""Whose turn it is with the whole of history, and whether all of it is in PostgreSQL.

Rebuilding and archiving exclude each other by one lock, which a session keeps: a command that
is killed lets go of it.  What needs every event asks here first, before it changes anything.
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
    """Take the lock for as long as the connection lives; raises Unavailable when it stays another's."""
    if await is_behind_pooler(connection):
        detail = "this keeps a session: LEDGER_POSTGRES has to be PostgreSQL, LEDGER_PGBOUNCER its pooler"
        raise Unavailable(dependency="postgres", detail=detail)
    give_up_at_s = time.monotonic() + patience_s
    while not await connection.fetchval(SQL["keep"]):
        if time.monotonic() >= give_up_at_s:
            detail = "another replay of this database is under way, or its archiving"
            raise Unavailable(dependency="postgres", detail=detail)
        await asyncio.sleep(POLL_INTERVAL_S)


async def archived_months(connection: Connection) -> list[str]:
    """Return the months of which events are in files alone, as 2024-11, in order."""
    if not await connection.fetchval(SQL["has_archives"]):
        return []
    return [row["month"] for row in await connection.fetch(SQL["archived_months"])]


async def check_nothing_archived(connection: Connection, what: str) -> None:
    """Raise Rejected, naming the months, unless every event is in PostgreSQL; `what` needs them."""
    if months := await archived_months(connection):
        detail = (
            f"{what} needs all events, and those of {', '.join(months)} are archived: "
            f"`ledger-streams archive attach MONTH` puts them back"
        )
        raise Rejected(status=409, title="Archived", detail=detail)
