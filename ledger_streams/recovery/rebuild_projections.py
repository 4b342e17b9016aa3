"""Rebuild of all projections from the log, beside the live tables.

The projection functions do not depend on the time of reading, so a rebuild uses the same functions
and the same sink with other tables.  Records that Kafka no longer has are made again from their
rows: `events` for records deleted by retention, `wallet_events` for those removed by compaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from faust.types import TP

from ledger_streams import topics
from ledger_streams.adapters.postgres.balances import refresh_balances
from ledger_streams.adapters.postgres.parked_rows import Part, add, at_place, retried_partition
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import acquire_connection
from ledger_streams.adapters.postgres.reconciliation import Difference, differences
from ledger_streams.adapters.postgres.replay import LiveTables, RebuildTables, open_rebuild_tables, rows
from ledger_streams.adapters.postgres.rows import Advance, SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.domain.payment import FINGERPRINT_INVALID
from ledger_streams.engine.batches import Record
from ledger_streams.engine.projection_batch import ProjectionBatch, RowsOf
from ledger_streams.errors import InvariantBroken, Unavailable, Unreadable
from ledger_streams.kafka.log_reader import KafkaLog, Partition, opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.logs import progress_text
from ledger_streams.recovery.compacted_versions import CompactedVersions
from ledger_streams.recovery.parked_parts import rows_of
from ledger_streams.recovery.rebuild_parked import DeferredRecord, ParkedHistory
from ledger_streams.resilience import Backoff, retried
from ledger_streams.settings import Settings

Say = Callable[[str], None]

SWAP_LAG_MAX: Final = 2_000
"""Lag in records at which the swap may stop the projectors: some tenths of a second."""
PASSES_MAX: Final = 10
"""Passes over the log; after them the swap starts with a larger lag than `SWAP_LAG_MAX`."""
PROGRESS_INTERVAL_S: Final = 2.0
"""Time between two progress lines."""
SWAP_BACKOFF: Final = Backoff(first_ms=100, wait_ms_max=1_000, attempts_max=30)
"""Wait for readers to release the tables: they hold them for milliseconds, a long report makes it fail."""


class ProjectionRebuildResult(msgspec.Struct, frozen=True):
    """Result of a rebuild of the projections."""

    rows: dict[str, int]
    """Rebuilt rows by table."""
    rows_before: dict[str, int]
    from_postgres: int
    """Records read from PostgreSQL, since Kafka no longer had them."""
    seconds: float
    differences: list[Difference]
    """Contradictions in the rebuilt tables; if there are any, the tables were not swapped."""

    @property
    def exit_code(self) -> int:
        """Return 0 when the rebuilt tables have replaced the live ones."""
        return 1 if self.differences else 0


class ProjectionRebuild:
    """Writes the rebuilt tables in steps; the caller decides up to which offsets."""

    def __init__(self, log: KafkaLog, tables: RebuildTables, config: Settings, say: Say) -> None:
        self._log = log
        self._live: LiveTables = tables.live
        self._sink = PostgresSink(tables.pool)
        self._wallets = config.topic(topics.WALLET_EVENTS)
        self._project: Mapping[str, RowsOf] = rows_of(config)
        self._say = say
        self._began_s, self._said_s = time.monotonic(), 0.0
        self._goal: Mapping[Partition, int] = {}
        self._next: dict[Partition, int | None] = {}
        self._parked = ParkedHistory()
        self._is_parking = False  # True once the rebuild itself has parked a record
        self._gaps = CompactedVersions(tables.live)
        self.records = 0
        self._past = 0

    @property
    def from_postgres(self) -> int:
        """Number of records read from PostgreSQL."""
        return self._past + self._gaps.from_postgres

    async def target_offsets(self) -> dict[Partition, int]:
        """Return the offsets to read up to: the live projector's position, else the log's end.

        Raises InvariantBroken when the live projections belong to another log.
        """
        live = await self._live.positions()  # read before the ends: the projector may pass them
        return target_offsets(
            live, await self._log.begins(self._project), await self._log.ends(self._project)
        )

    async def copy_past_events(self) -> None:
        """Write the events that Kafka no longer has; call it first and once."""
        begins = await self._log.begins(self._project)
        self._next = dict.fromkeys(begins)
        self._goal = await self.target_offsets()
        self._parked.load(await self._live.parked())
        await self._live.keep_unreadable(FINGERPRINT_INVALID)
        async for partition, records in self._live.past_events(begins):
            next_ = records[-1].offset + 1
            if await self._write(partition, records, next_=next_, is_past=True) != len(records):
                raise InvariantBroken(f"{partition}: an event before {begins[partition]} cannot be read")
            self._past += len(records)
        for partition, begin in begins.items():
            await self._reach(partition, begin)

    async def read(self, ends: Mapping[Partition, int]) -> None:
        """Write the log's records up to `ends`."""
        self._parked.load(await self._live.parked())
        begin = {partition: self._next[partition] or 0 for partition in ends}
        left = {partition: end for partition, end in ends.items() if begin[partition] < end}
        if not left:
            for partition, end in ends.items():
                await self._reach(partition, end)
            return
        self._goal = left
        async for partition, records in self._log.read(left, begin=begin):
            await self._write(partition, records, next_=records[-1].offset + 1)
        now_begins = await self._log.begins(self._project)
        if late := [partition for partition in left if now_begins[partition] > begin[partition]]:
            raise Unavailable(
                dependency="kafka", detail=f"Kafka deleted records of {late} during the rebuild; run it again"
            )
        for partition, end in ends.items():
            await self._reach(partition, end)

    async def swap(self) -> None:
        """Replace the live tables; endings are checked only when records came from PostgreSQL."""
        await self._live.swap(self._read_last, endings_stay=self.from_postgres > 0)

    async def _read_last(self, live: Mapping[Partition, int]) -> None:
        """Write the last records up to the live positions, while the projectors wait."""
        await self.read({partition: at for partition, at in live.items() if partition in self._next})

    def lag(self, ends: Mapping[Partition, int]) -> int:
        """Return the number of offsets left to read up to `ends`."""
        return sum(max(0, end - (self._next[partition] or 0)) for partition, end in ends.items())

    async def _write(
        self, partition: Partition, records: Sequence[Record], *, next_: int, is_past: bool = False
    ) -> int:
        """Write the records and the deferred ones between them; return the number of events."""
        events, left = 0, self._parked.without_parked(partition, records)
        while later := self._parked.next_deferred(partition, next_):
            at = later[0].before
            sooner = [record for record in left if record.offset < at]
            left = left[len(sooner) :]
            events += await self._put(partition, sooner, next_=at, is_past=is_past)
            await self._put_deferred(partition, later)
        events += await self._put(partition, left, next_=next_, is_past=is_past)
        self.records += len(records)
        if time.monotonic() - self._said_s >= PROGRESS_INTERVAL_S:
            self._said_s = time.monotonic()
            total = self.records + self.lag(self._goal)
            self._say(progress_text(self.records, total, "records read", self._said_s - self._began_s))
        return events

    async def _put(
        self, partition: Partition, records: Sequence[Record], *, next_: int, is_past: bool = False
    ) -> int:
        """Write records, or park them where they cannot be projected; return how many events they are."""
        if partition[0] == self._wallets:
            records = await self._gaps.fill(partition, records)
        share = self._share(partition)
        share.checks_partition = not is_past
        for record in records:
            share.project(record)
        advance = Advance(self._next[partition], next_)
        share.rows.positions = {partition: advance}
        if share.refused or self._is_parking:
            await self._park(partition, advance, [share.part(record) for record in records])
        else:
            try:
                await self._sink.write(share.rows)
            except Unreadable:
                await self._park(partition, advance, [share.part(record) for record in records])
        self._next[partition] = next_
        return len(share.rows.events)

    async def _park(self, partition: Partition, advance: Advance, parts: Sequence[Part]) -> None:
        if await PostgresParking(self._sink).write(partition, advance, parts):
            self._is_parking = True  # the records behind them are checked one by one

    async def _put_deferred(self, partition: Partition, later: Sequence[DeferredRecord]) -> None:
        """Project parked records at the place in their chains where their retry projected them."""
        place, batch = retried_partition(partition), SinkBatch({})
        for one in later:
            part = self._share(partition).part(one.record)
            if part.refusal is not None:
                raise part.refusal
            add(batch, at_place(part.batch, place[1], one.projected_as, one.before))
        first = later[0].projected_as
        batch.positions = {place: Advance(first or None, first + len(later))}
        await self._sink.write(batch)
        self._gaps.note_written(batch.wallet_events)
        self._parked.note_projected(partition, len(later))

    def _share(self, partition: Partition) -> ProjectionBatch:
        share = ProjectionBatch(TP(*partition), (), source_next=0)
        share.rows_of = self._project[partition[0]]
        return share

    async def _reach(self, partition: Partition, end: int) -> None:
        """Move the position over offsets that hold transaction markers only."""
        at = self._next[partition]
        if (at or 0) < end or self._parked.next_deferred(partition, end):
            await self._write(partition, (), next_=max(at or 0, end))


def target_offsets(
    live: Mapping[Partition, int], begins: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, int]:
    """Return each partition's live position, else its end; InvariantBroken when they belong to two logs."""
    for partition, end in ends.items():
        if not begins[partition] <= live.get(partition, end) <= end:
            raise InvariantBroken(
                f"{partition} is projected up to {live[partition]}, but Kafka has {begins[partition]} "
                f"to {end}: records between are lost, or this is another log"
            )
    return {partition: live.get(partition, end) for partition, end in ends.items()}


async def rebuild_projections(config: Settings, say: Say) -> ProjectionRebuildResult:
    """Rebuild all projections of the system of `config`; swap them unless they contradict themselves."""
    began_s = time.monotonic()
    async with (
        open_rebuild_tables(config.postgres_owner) as tables,
        opened_log(client_options(config)) as log,
    ):
        rebuild = ProjectionRebuild(log, tables, config, say)
        await rebuild.target_offsets()
        await rebuild.copy_past_events()
        for _ in range(PASSES_MAX):
            await rebuild.read(await rebuild.target_offsets())
            if rebuild.lag(await rebuild.target_offsets()) <= SWAP_LAG_MAX:
                break
        say(f"{rebuild.records:,} records read, {rebuild.from_postgres:,} of them from PostgreSQL; comparing")
        await refresh_balances(tables.pool)
        found = await differences(tables.pool)
        before = await tables.live.rows()
        async with acquire_connection(tables.pool) as connection:
            rebuilt = await rows(connection)
        if not found:
            await retried(rebuild.swap, purpose="the swap", backoff=SWAP_BACKOFF)
            say("swapped")
    return ProjectionRebuildResult(
        rebuilt, before, rebuild.from_postgres, round(time.monotonic() - began_s, 3), found
    )
