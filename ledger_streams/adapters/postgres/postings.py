"""Writes postings; a trigger of their table enforces double entry.

The trigger checks the rows of one statement, so all legs of an event have to be in one COPY.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.adapters.postgres.refusals import is_of_constraint
from ledger_streams.adapters.postgres.rows import PostingRow
from ledger_streams.errors import InvariantBroken


async def put_postings(connection: Connection, rows: Sequence[PostingRow]) -> None:
    """Add the legs of events; raises InvariantBroken where those of one do not sum to zero."""
    if not rows:
        return
    try:
        await connection.copy_records_to_table("postings", records=rows, columns=PostingRow._fields)
    except asyncpg.CheckViolationError as error:
        if is_of_constraint(error):
            raise
        raise InvariantBroken(str(error)) from error
