"""Bulk writes to PostgreSQL: by COPY, or as one array for each column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ledger_streams.adapters.postgres.pool import Connection


async def copy_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Add rows to a table by COPY; no round trip without rows."""
    if rows:
        await connection.copy_records_to_table(table, records=rows, columns=columns)


def columns_of(rows: Iterable[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Turn rows into one array for each column."""
    return list(zip(*rows, strict=True)) or [()] * width
