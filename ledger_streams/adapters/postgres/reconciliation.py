"""Reconciliation inside PostgreSQL: what the projections say of the same money in different ways.

Snapshots against sums of events against postings, legs that have to sum to zero,
versions without a gap.  Everything is asked of one snapshot of the database.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.adapters.postgres.pool import Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries

STATEMENT_S_MAX: Final = 3_600.0
"""These queries read whole tables."""


class Difference(msgspec.Struct, frozen=True):
    """Something that should be equal and is not; `kind` names the rule that is broken."""

    kind: str
    subject: str
    detail: str


async def differences(pool: Pool) -> list[Difference]:
    """Check every rule of `sql/reconcile.sql`; an empty list is what is hoped for."""
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
