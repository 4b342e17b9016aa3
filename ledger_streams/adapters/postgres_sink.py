"""The projector's sink: one transaction writes the rows of a cycle and moves its source positions.

The positions are checked and set first, so PostgreSQL sees each record once: a
writer that has lost its partition stands at another offset and is refused before
it writes a row.  Rows go in by COPY, upserts as arrays in sorted order, which
keeps two writers from deadlocking; there is no statement per row.  Each event bears
the hash of the one before it: the chains go on from the heads found on the way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import asyncpg

from ledger_streams.adapters.postgres_chain import GENESIS, chained_events, chained_wallet_events, contents
from ledger_streams.adapters.postgres_migrations import ensure_partitions, make_partitions
from ledger_streams.adapters.postgres_order import check_versions, ordered_at
from ledger_streams.adapters.postgres_pool import WRITE_S_MAX, Connection, Pool, acquired
from ledger_streams.adapters.postgres_postings import put_postings
from ledger_streams.adapters.postgres_queries import queries
from ledger_streams.adapters.postgres_rows import (
    Advance,
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    RefundRow,
    SinkBatch,
    SnapshotRow,
    TopicPartition,
    WalletEventRow,
)
from ledger_streams.adapters.postgres_views import wallet_view
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.ports import WalletView

log = logging.getLogger(__name__)
SQL: Final = queries("projections")


class PostgresSink:
    """Writes projections; several sinks, of several workers, write to one database at once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._months: set[date] = set()

    async def ensure_partitions(self) -> None:
        """Make the partitions of the months around today; for a projector's start."""
        async with acquired(self._pool, within_s=WRITE_S_MAX) as connection:
            await ensure_partitions(connection)

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the next offset of each; None for what was never projected."""
        async with acquired(self._pool, within_s=WRITE_S_MAX) as connection:
            return await _positions(connection, list(partitions))

    async def write(self, batch: SinkBatch) -> None:
        """Write all of the batch, or nothing.

        A batch whose positions all stand at their new offsets already is one whose
        commit went unanswered: it is there, and is not written again.  Any other
        difference, and a gap in a wallet's versions, is `InvariantBroken`.
        """
        async with acquired(self._pool, within_s=WRITE_S_MAX) as connection:
            await self._make_months(connection, batch.events)
            async with connection.transaction():
                heads = await _claim(connection, batch.positions)
                if heads is None:
                    log.warning("a batch was written already, its commit had gone unanswered")
                    return
                hashed = asyncio.create_task(
                    asyncio.to_thread(contents, batch)
                )  # meanwhile, PostgreSQL writes
                await put_postings(connection, batch.postings)
                await _put_payments(connection, batch.payments, batch.payment_outcomes)
                await _put_refunds(connection, batch.refunds)
                events, wallet_events = await hashed
                await self._put_events(connection, chained_events(batch.events, events, heads))
                await _put_heads(connection, batch.events, heads)
                await _put_wallets(connection, batch, wallet_events)

    async def dirty_wallets(self, topic: str, partition: int) -> list[WalletView]:
        """Return the wallets of a wallet-events partition that the cache may not have as they are."""
        async with acquired(self._pool, within_s=WRITE_S_MAX) as connection:
            return [
                wallet_view(row) for row in await connection.fetch(SQL["dirty_wallets"], topic, partition)
            ]

    async def mark_cached(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that the cache has all wallets up to these next offsets; never moves backwards."""
        ordered = sorted(offsets.items())
        columns = _columns([(topic, partition, offset) for (topic, partition), offset in ordered], 3)
        async with acquired(self._pool, within_s=WRITE_S_MAX) as connection:
            await connection.execute(SQL["mark_cached"], *columns)

    async def _make_months(self, connection: Connection, events: Sequence[EventRow]) -> None:
        days = {row.occurred_at.astimezone(UTC).date() for row in events}
        missing = {day.replace(day=1) for day in days} - self._months
        if missing:
            await make_partitions(connection, sorted(missing))
            self._months |= missing

    async def _put_events(self, connection: Connection, events: Sequence[EventRow]) -> None:
        fresh, repeats = await _sorted_out(connection, events)
        if repeats:
            log.warning("%d events of known event ids are kept in event_repeats", len(repeats))
            await _copy(connection, "event_repeats", EventRow._fields, repeats)
        try:
            await _copy(connection, "events", EventRow._fields, fresh)
        except asyncpg.UniqueViolationError as error:
            # Another partition's writer was quicker with the same foreign id: tried again, it is a repeat.
            raise Unavailable(dependency="postgres", detail=f"events: {error}") from error
        except asyncpg.CheckViolationError as error:
            self._months.clear()  # a month's partition was retired meanwhile: made again by the next attempt
            raise Unavailable(dependency="postgres", detail=f"events: {error}") from error


async def _positions(
    connection: Connection, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, int | None]:
    found: dict[TopicPartition, int | None] = dict.fromkeys(partitions)
    rows = await connection.fetch(SQL["positions"], *_columns(partitions, 2))
    found.update({(row["topic"], row["partition"]): row["next_offset"] for row in rows})
    return found


async def _claim(
    connection: Connection, positions: Mapping[TopicPartition, Advance]
) -> dict[TopicPartition, bytes] | None:
    """Set the positions and return the heads of their chains.

    None when they are all set already, by a commit that went unanswered.
    """
    claims = [(*key, *advance) for key, advance in sorted(positions.items())]
    moved = await connection.fetch(SQL["set_positions"], *_columns(claims, 4))
    if len(moved) == len(claims):
        return {(row["topic"], row["partition"]): row["chain_hash"] or GENESIS for row in moved}
    now = await _positions(connection, list(positions))
    if all(now[key] == advance.new for key, advance in positions.items()):
        return None
    stale = {key: now[key] for key, advance in positions.items() if now[key] not in advance}
    raise InvariantBroken(
        f"this projector has lost its partitions: positions are {stale or now}, it believed {dict(positions)}"
    )


async def _sorted_out(
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
        await connection.execute(SQL["set_heads"], *_columns(moved, 3))


async def _put_wallets(connection: Connection, batch: SinkBatch, contents: Sequence[bytes]) -> None:
    if not batch.wallet_events and not batch.snapshots:
        return
    newest = {row.wallet_id: row for row in batch.snapshots}
    wallets = sorted(newest.keys() | {row.wallet_id for row in batch.wallet_events})
    known = await connection.fetch(SQL["wallet_versions"], wallets)
    check_versions(
        batch.wallet_events, newest, {row["wallet_id"]: row["last_event_version"] for row in known}
    )
    late = ordered_at(batch.wallet_events, {row["wallet_id"]: row["latest"] for row in known})
    heads: dict[str, bytes] = {row["wallet_id"]: row["chain_hash"] or GENESIS for row in known}
    events = chained_wallet_events(batch.wallet_events, contents, heads)
    try:
        await _copy_wallet_events(connection, events, late)
    except asyncpg.UniqueViolationError as error:
        raise InvariantBroken(f"a wallet event is there already: {error.detail}") from error
    ordered = [(*newest[wallet][:-1], heads[wallet]) for wallet in wallets if wallet in newest]
    await connection.execute(SQL["put_snapshots"], *_columns(ordered, len(SnapshotRow._fields)))


async def _copy_wallet_events(
    connection: Connection,
    events: Sequence[WalletEventRow],
    late: Mapping[tuple[str, int], datetime],
) -> None:
    if not late:
        await _copy(connection, "wallet_events", WalletEventRow._fields, events)
        return
    log.warning("%d wallet events are older than the ones before them: a clock has stepped back", len(late))
    rows = [(*row, late.get((row.wallet_id, row.event_version))) for row in events]
    await _copy(connection, "wallet_events", (*WalletEventRow._fields, "ordered_at"), rows)


async def _put_payments(
    connection: Connection, payments: Sequence[PaymentRow], outcomes: Sequence[PaymentOutcomeRow]
) -> None:
    if payments:  # sorted() keeps the order of one payment's requests: the first of them counts
        ordered = sorted(payments, key=lambda row: row.payment_id)
        await connection.execute(SQL["put_payments"], *_columns(ordered, len(PaymentRow._fields)))
    if outcomes:
        last = {row.payment_id: row for row in outcomes}
        ended = [last[payment_id] for payment_id in sorted(last)]
        await connection.execute(SQL["end_payments"], *_columns(ended, len(PaymentOutcomeRow._fields)))


async def _put_refunds(connection: Connection, refunds: Sequence[RefundRow]) -> None:
    last = {row.payment_id: row for row in refunds}
    if last:
        rows = [last[payment_id] for payment_id in sorted(last)]
        await connection.execute(SQL["refund_payments"], *_columns(rows, len(RefundRow._fields)))


async def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    if rows:
        await connection.copy_records_to_table(table, records=rows, columns=columns)


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Turn rows into one array for each column."""
    return list(zip(*rows, strict=True)) or [()] * width
