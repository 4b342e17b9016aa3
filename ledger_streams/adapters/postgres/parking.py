"""Parking of records that cannot be projected, while all other records are projected.

A batch with such a record is written in pieces of one transaction each: rows, parked records and the
source position together, so each record is projected or parked exactly once.  Inside a piece the bad
record is found by bisection with savepoints.  Later records of the same aggregate, topic and
partition are parked behind a waiting record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ledger_streams.adapters.postgres.copy import columns_of, copy_rows
from ledger_streams.adapters.postgres.parked_rows import (
    BEHIND,
    ParkedRow,
    Part,
    add,
    at_place,
    parked_row,
    record_of,
    retried_partition,
)
from ledger_streams.adapters.postgres.pool import WRITE_S_MAX, Connection, acquire_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.rows import Advance, SinkBatch, TopicPartition
from ledger_streams.adapters.postgres.sink import PostgresSink, claim
from ledger_streams.errors import Rejected, Unreadable
from ledger_streams.kafka.synthetic_record import SyntheticRecord

SQL: Final = queries("parked")
PIECE_S_MAX: Final = 120.0
"""Time limit of a piece: with every record refused it takes some hundred savepoints."""


class PostgresParking:
    """Writes a batch that the sink refused record by record, and retries parked records."""

    def __init__(self, sink: PostgresSink) -> None:
        self._sink = sink

    async def waiting(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Count the records that wait, by partition; a partition without any is left out."""
        async with acquire_connection(self._sink.pool, within_s=WRITE_S_MAX) as connection:
            rows = await connection.fetch(SQL["waiting"], *columns_of(list(partitions), 2))
        return {(row["topic"], row["partition"]): row["records"] for row in rows}

    async def write(
        self, partition: TopicPartition, advance: Advance, parts: Sequence[Part]
    ) -> list[ParkedRow] | None:
        """Write the parts of one partition, in order, and return those that are parked.

        None when an earlier commit, whose reply was lost, has written all of it.
        """
        async with acquire_connection(self._sink.pool, within_s=PIECE_S_MAX) as connection:
            await self._sink.make_months(connection, (row for part in parts for row in part.batch.events))
            async with connection.transaction():
                heads = await claim(connection, {partition: advance})
                if heads is None:
                    return None
                ids = [part.aggregate_id for part in parts if part.aggregate_id is not None]
                rows = await connection.fetch(SQL["blocked"], *partition, ids)
                piece = _Piece(self._sink, connection, heads, {row["aggregate_id"] for row in rows})
                await piece.write(parts)
                parked = sorted(piece.parked, key=lambda row: row.source_offset)
                await copy_rows(connection, "parked_records", ParkedRow._fields, parked)
                return parked

    async def retry(
        self, partition: TopicPartition, aggregate_id: str, part_of: Callable[[SyntheticRecord], Part]
    ) -> int:
        """Project all waiting records of an aggregate in a partition, in order, or none; return the number.

        Raises Rejected where a record still cannot be projected.
        """
        async with acquire_connection(self._sink.pool, within_s=PIECE_S_MAX) as connection:
            waiting = await connection.fetch(SQL["of_aggregate"], *partition, aggregate_id)
            parts = [part_of(record_of(row)) for row in waiting]
            for part in parts:
                if part.refusal is not None:
                    raise _still_refused(part.record, part.refusal)
            await self._sink.make_months(connection, (row for part in parts for row in part.batch.events))
            async with connection.transaction():
                position = await connection.fetchval(SQL["lock_position"], *partition)
                again = await connection.fetch(SQL["of_aggregate"], *partition, aggregate_id)
                if [row["source_offset"] for row in again] != [row["source_offset"] for row in waiting]:
                    raise Rejected(
                        status=409,
                        title="Moved",
                        detail="another record was parked meanwhile: run the retry again",
                    )
                return await self._project(connection, partition, parts, position)

    async def _project(
        self, connection: Connection, partition: TopicPartition, parts: Sequence[Part], position: int
    ) -> int:
        if not parts:
            return 0
        later = retried_partition(partition)
        reached = await connection.fetchval(SQL["lock_position"], *later)
        heads = await claim(connection, {later: Advance(reached, (reached or 0) + len(parts))})
        assert heads is not None, "the position is locked"
        batch = SinkBatch({})
        for number, part in enumerate(parts, start=reached or 0):
            add(batch, at_place(part.batch, later[1], number, position))
        try:
            await self._sink.put(connection, batch, heads)
        except Unreadable as error:
            raise _still_refused(parts[0].record, error) from error
        offsets = [part.record.offset for part in parts]
        await connection.execute(SQL["end_projected"], *partition, offsets, position, reached or 0)
        return len(parts)

    async def discard(self, partition: TopicPartition, offset: int) -> bool:
        """Discard one waiting record, so that those behind it can be retried; False when it does not wait."""
        async with (
            acquire_connection(self._sink.pool, within_s=WRITE_S_MAX) as connection,
            connection.transaction(),
        ):
            position = await connection.fetchval(SQL["lock_position"], *partition)
            return bool(await connection.fetch(SQL["end_discarded"], *partition, offset, position))


class _Piece:
    """One transaction's parts."""

    def __init__(
        self,
        sink: PostgresSink,
        connection: Connection,
        heads: dict[TopicPartition, bytes],
        blocked: set[str],
    ) -> None:
        self._sink = sink
        self._connection = connection
        self._heads = heads
        self._blocked = blocked
        self.parked: list[ParkedRow] = []

    async def write(self, parts: Sequence[Part]) -> None:
        """Write the parts, or park them."""
        ready = [part for part in parts if not self._is_parked(part)]
        if not ready:
            return
        heads, batch = dict(self._heads), SinkBatch({})
        for part in ready:
            add(batch, part.batch)
        try:
            async with self._connection.transaction():
                await self._sink.put(self._connection, batch, heads)
        except Unreadable as refusal:
            if len(ready) == 1:
                self._park(ready[0], refusal.reason, refusal.detail)
                return
            half = len(ready) // 2
            await self.write(ready[:half])
            await self.write(ready[half:])
        else:
            self._heads.update(heads)

    def _is_parked(self, part: Part) -> bool:
        if part.aggregate_id in self._blocked:
            self._park(part, BEHIND, f"an earlier record of {part.aggregate_id} is parked")
        elif part.refusal is not None:
            self._park(part, part.refusal.reason, part.refusal.detail)
        else:
            return False
        return True

    def _park(self, part: Part, reason: str, detail: str) -> None:
        if part.aggregate_id is not None:
            self._blocked.add(part.aggregate_id)
        self.parked.append(parked_row(part, reason, detail))


def _still_refused(record: SyntheticRecord, error: Unreadable) -> Rejected:
    place = f"{record.topic}[{record.partition}]@{record.offset}"
    detail = f"{place} or a record behind it still cannot be projected, nothing was changed: {error}"
    return Rejected(status=409, title="Still refused", detail=detail)
