"""The projector's sink: one transaction writes the rows of a cycle and moves its source positions.

The positions are checked and set first, so each record is written once: a writer that has lost its
partition expects another offset and is refused before it writes a row.  Rows are written by COPY,
upserts as arrays in sorted order, which avoids deadlocks between writers; there is no statement per
row.  Each event has the hash of the one before it, from the heads read with the positions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date
from typing import Final

import asyncpg

from ledger_streams.adapters.postgres.copy import columns_of, copy_rows
from ledger_streams.adapters.postgres.hash_chain import GENESIS, chained_events, contents
from ledger_streams.adapters.postgres.migrations import ensure_partitions, make_partitions
from ledger_streams.adapters.postgres.pool import WRITE_S_MAX, Connection, Pool, acquire_connection
from ledger_streams.adapters.postgres.postings import put_postings
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.refusals import is_of_constraint, translate_data_errors
from ledger_streams.adapters.postgres.rows import (
    Advance,
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    RefundRow,
    SinkBatch,
    TopicPartition,
)
from ledger_streams.adapters.postgres.views import wallet_view
from ledger_streams.adapters.postgres.wallets import put_wallets
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.ports import WalletView

log = logging.getLogger(__name__)
SQL: Final = queries("projections")


class PostgresSink:
    """Writes projections; several sinks, of several workers, write to one database at once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._months: set[date] = set()

    async def ensure_partitions(self) -> None:
        """Make the partitions of the months around today; for a projector's start."""
        async with acquire_connection(self.pool, within_s=WRITE_S_MAX) as connection:
            await ensure_partitions(connection)

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the next offset of each; None for what was never projected."""
        async with acquire_connection(self.pool, within_s=WRITE_S_MAX) as connection:
            return await _positions(connection, list(partitions))

    async def write(self, batch: SinkBatch) -> None:
        """Write all of the batch, or nothing.

        When all positions are at their new offsets already, an earlier commit whose reply was lost has
        written the batch, and it is not written again.  Raises InvariantBroken for any other difference
        and for a gap in a wallet's versions, and Unreadable when PostgreSQL refuses a record's data.
        """
        async with acquire_connection(self.pool, within_s=WRITE_S_MAX) as connection:
            await self.make_months(connection, batch.events)
            async with connection.transaction():
                heads = await claim(connection, batch.positions)
                if heads is not None:
                    await self.put(connection, batch, heads)

    async def put(self, connection: Connection, batch: SinkBatch, heads: dict[TopicPartition, bytes]) -> None:
        """Write the rows of a batch whose positions are claimed, from the `heads` of their chains on."""
        hashed = asyncio.create_task(asyncio.to_thread(contents, batch))  # in parallel with PostgreSQL
        try:
            with translate_data_errors():
                await put_postings(connection, batch.postings)
                await _put_payments(connection, batch.payments, batch.payment_outcomes)
                await _put_refunds(connection, batch.refunds)
                events, wallet_events = await hashed
                await self._put_events(connection, chained_events(batch.events, events, heads))
                await _put_heads(connection, batch.events, heads)
                await put_wallets(connection, batch, wallet_events)
        finally:
            if not hashed.done():
                await asyncio.wait([hashed])
            hashed.cancelled() or hashed.exception()

    async def dirty_wallets(self, topic: str, partition: int) -> list[WalletView]:
        """Return the wallets of a wallet-events partition that the cache may not have as they are."""
        async with acquire_connection(self.pool, within_s=WRITE_S_MAX) as connection:
            return [
                wallet_view(row) for row in await connection.fetch(SQL["dirty_wallets"], topic, partition)
            ]

    async def mark_cached(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that the cache has all wallets up to these next offsets; never moves backwards."""
        ordered = sorted(offsets.items())
        columns = columns_of([(topic, partition, offset) for (topic, partition), offset in ordered], 3)
        async with acquire_connection(self.pool, within_s=WRITE_S_MAX) as connection:
            await connection.execute(SQL["mark_cached"], *columns)

    async def make_months(self, connection: Connection, events: Iterable[EventRow]) -> None:
        """Make the partitions of the events' months; outside of the transaction that writes them."""
        days = {row.occurred_at.astimezone(UTC).date() for row in events}
        missing = {day.replace(day=1) for day in days} - self._months
        if missing:
            await make_partitions(connection, sorted(missing))
            self._months |= missing

    async def _put_events(self, connection: Connection, events: Sequence[EventRow]) -> None:
        fresh, repeats = await _without_duplicates(connection, events)
        if repeats:
            log.warning(
                "%d events with known event ids written to event_repeats instead of events.", len(repeats)
            )
            await copy_rows(connection, "event_repeats", EventRow._fields, repeats)
        try:
            await copy_rows(connection, "events", EventRow._fields, fresh)
        except asyncpg.UniqueViolationError as error:
            # Another partition's writer inserted the same foreign id first; a retry finds a repeat.
            raise Unavailable(dependency="postgres", detail=f"events: {error}") from error
        except asyncpg.CheckViolationError as error:
            if is_of_constraint(error):
                raise
            self._months.clear()  # a month was archived meanwhile; the next attempt makes its partition
            raise Unavailable(dependency="postgres", detail=f"events: {error}") from error


async def _positions(
    connection: Connection, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    found: dict[TopicPartition, int | None] = dict.fromkeys(partitions)
    rows = await connection.fetch(SQL["positions"], *columns_of(partitions, 2))
    found.update({(row["topic"], row["partition"]): row["next_offset"] for row in rows})
    return found


async def claim(
    connection: Connection, positions: Mapping[TopicPartition, Advance]
) -> dict[TopicPartition, bytes] | None:
    """Set the positions and return the heads of their chains.

    None when an earlier commit, whose reply was lost, has set all of them.
    """
    claims = [(*key, *advance) for key, advance in sorted(positions.items())]
    moved = await connection.fetch(SQL["set_positions"], *columns_of(claims, 4))
    if len(moved) == len(claims):
        return {(row["topic"], row["partition"]): row["chain_hash"] or GENESIS for row in moved}
    now = await _positions(connection, list(positions))
    if all(now[key] == advance.new for key, advance in positions.items()):
        log.warning(
            "Batch of %s already written by a commit without a reply; not written again.", sorted(positions)
        )
        return None
    stale = {key: now[key] for key, advance in positions.items() if now[key] not in advance}
    raise InvariantBroken(
        f"this projector has lost its partitions: positions are {stale or now}, it expected {dict(positions)}"
    )


async def _without_duplicates(
    connection: Connection, events: Sequence[EventRow]
) -> tuple[Sequence[EventRow], list[EventRow]]:
    """Tell events from repetitions of one in the store or earlier in the batch."""
    if not events:
        return events, []
    ids, times = [row.event_id for row in events], [row.occurred_at for row in events]
    known = {row["number"] - 1 for row in await connection.fetch(SQL["repeated_events"], ids, times)}
    firsts = {(row.event_id, row.occurred_at): number for number, row in reversed([*enumerate(events)])}
    if not known and len(firsts) == len(events):
        return events, []
    fresh_numbers = set(firsts.values()) - known
    fresh = [row for number, row in enumerate(events) if number in fresh_numbers]
    return fresh, [row for number, row in enumerate(events) if number not in fresh_numbers]


async def _put_heads(
    connection: Connection, events: Sequence[EventRow], heads: Mapping[TopicPartition, bytes]
) -> None:
    sources = sorted({(row.topic, row.source_partition) for row in events})
    if sources:
        moved = [(*source, heads[source]) for source in sources]
        await connection.execute(SQL["set_heads"], *columns_of(moved, 3))


async def _put_payments(
    connection: Connection, payments: Sequence[PaymentRow], outcomes: Sequence[PaymentOutcomeRow]
) -> None:
    if payments:  # sorted() keeps the order of one payment's requests: the first of them counts
        ordered = sorted(payments, key=lambda row: row.payment_id)
        await connection.execute(SQL["put_payments"], *columns_of(ordered, len(PaymentRow._fields)))
    if outcomes:
        last = {row.payment_id: row for row in outcomes}
        ended = [last[payment_id] for payment_id in sorted(last)]
        await connection.execute(SQL["end_payments"], *columns_of(ended, len(PaymentOutcomeRow._fields)))


async def _put_refunds(connection: Connection, refunds: Sequence[RefundRow]) -> None:
    last = {row.payment_id: row for row in refunds}
    if last:
        rows = [last[payment_id] for payment_id in sorted(last)]
        await connection.execute(SQL["refund_payments"], *columns_of(rows, len(RefundRow._fields)))
