"""Parked records for display: the list with reasons, and the full content of one."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger_streams.adapters.postgres.parked_rows import record_of
from ledger_streams.adapters.postgres.pool import Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.rows import TopicPartition
from ledger_streams.adapters.postgres.views import wire_time
from ledger_streams.kafka.synthetic_record import SyntheticRecord

SQL: Final = queries("parked")


class ParkedRecord(msgspec.Struct, frozen=True):
    """A parked record without its content; `outcome` is null while it waits."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    aggregate_id: str | None
    appended_at: str
    parked_at: str
    ended_at: str | None
    outcome: str | None
    value_bytes: int | None

    @property
    def place(self) -> str:
        """Name the record's place in the log."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


async def parked_records(pool: Pool, *, topic: str | None = None, ended: bool = False) -> list[ParkedRecord]:
    """Return the records that wait, oldest first; with `ended` also those that were retried or discarded."""
    async with acquire_connection(pool) as connection:
        return [_view(dict(row)) for row in await connection.fetch(SQL["list"], topic, ended)]


async def parked_record(
    pool: Pool, partition: TopicPartition, offset: int
) -> tuple[ParkedRecord, SyntheticRecord] | None:
    """Return one record with its content, also after its retry or discard."""
    async with acquire_connection(pool) as connection:
        row = await connection.fetchrow(SQL["one"], *partition, offset)
    if row is None:
        return None
    content = {**row, "source_partition": row["partition"], "source_offset": row["offset"]}
    return _view({name: row[name] for name in ParkedRecord.__struct_fields__}), record_of(content)


async def parked_partitions(pool: Pool, aggregate_id: str) -> list[TopicPartition]:
    """Return the partitions in which records of an aggregate wait."""
    async with acquire_connection(pool) as connection:
        rows = await connection.fetch(SQL["places"], aggregate_id)
    return [(row["topic"], row["source_partition"]) for row in rows]


def _view(row: dict[str, Any]) -> ParkedRecord:
    for name in ("appended_at", "parked_at", "ended_at"):
        row[name] = row[name] and wire_time(row[name])
    return ParkedRecord(**row)
