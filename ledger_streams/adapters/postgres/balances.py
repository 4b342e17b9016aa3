"""Refresh of the materialized view `wallet_balances`, by one session at a time.

A database function with its owner's rights refreshes it.  The function locks, checks the view's age
and notes the time, so callers need no coordination.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from ledger_streams.adapters.postgres.pool import Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.errors import Unavailable

SQL: Final = queries("balances")
STATEMENT_S_MAX: Final = 3_600.0
"""Time limit; a refresh reads all wallet events."""


async def refresh_balances(pool: Pool, *, unless_younger_s: float = 0.0) -> bool:
    """Refresh the view, and tell whether it was done; it is not while another does it.

    Raises Unavailable for a role that may not.
    """
    try:
        async with acquire_connection(pool) as connection, connection.transaction():
            await connection.execute(queries("audit")["long"])
            done: bool = await connection.fetchval(SQL["refresh"], unless_younger_s, timeout=STATEMENT_S_MAX)
            return done
    except asyncpg.InsufficientPrivilegeError as error:
        detail = f"{error}: grant the rights with `ledger-streams db roles --apply`"
        raise Unavailable(dependency="postgres", detail=detail) from error


async def balances_refreshed_at(pool: Pool) -> datetime:
    """Return when the last refresh began."""
    async with acquire_connection(pool) as connection:
        at: datetime = await connection.fetchval(SQL["refreshed_at"])
        return at
