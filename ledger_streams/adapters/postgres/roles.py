"""Rights of the database roles.

The owner migrates and rebuilds.  The application adds to history and cannot change it;
what it updates (payments, snapshots, positions) can be made again.  Analysts read.
Partitions are made by a function with its owner's rights.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from ledger_streams.adapters.postgres.pool import open_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.errors import Rejected

SQL: Final = queries("roles")


async def role_statements(dsn: str, *, application: str | None, analyst: str | None) -> list[str]:
    """Return the statements that give the roles their rights, as the database needs them now."""
    async with open_connection(dsn) as connection:
        return [row["statement"] for row in await connection.fetch(SQL["statements"], application, analyst)]


async def give_roles(dsn: str, *, application: str | None, analyst: str | None) -> list[str]:
    """Carry the statements out, all or none, and return them; safe to repeat.

    Raises Rejected when the DSN's role lacks the right, or is itself one of the roles: it owns the tables.
    """
    async with open_connection(dsn) as connection, connection.transaction():
        if (owner := await connection.fetchval(SQL["owner"])) in (application, analyst):
            raise Rejected(
                status=409, title="Owner", detail=f"role {owner} owns the tables: grants do not bind it"
            )
        rows = await connection.fetch(SQL["statements"], application, analyst)
        try:
            for row in rows:
                await connection.execute(row["statement"])
        except asyncpg.InsufficientPrivilegeError as error:
            raise Rejected(
                status=403, title="Not allowed", detail=f"{error}: set LEDGER_POSTGRES_ADMIN"
            ) from error
        return [row["statement"] for row in rows]
