"""Reconciliation inside PostgreSQL: the projections are compared with each other.

The queries compare snapshots, sums of events and postings, check that the legs of an event sum to
zero and that versions have no gap.  All of them run under one snapshot of the database.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.adapters.postgres.pool import Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries

STATEMENT_S_MAX: Final = 3_600.0
"""Time limit; the queries read whole tables."""


class Difference(msgspec.Struct, frozen=True):
    """A broken rule: `kind` names the rule, `subject` the object."""

    kind: str
    subject: str
    detail: str


async def differences(pool: Pool) -> list[Difference]:
    """Check every rule of `sql/reconcile.sql`; return the differences."""
    found: list[Difference] = []
    async with (
        acquire_connection(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(queries("audit")["long"])
        for kind, query in queries("reconcile").items():
            rows = await connection.fetch(query, timeout=STATEMENT_S_MAX)
            found.extend(Difference(kind, row["subject"], row["detail"]) for row in rows)
    return found
