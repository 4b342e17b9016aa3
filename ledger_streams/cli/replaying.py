"""The projections anew, from the log, beside the live ones.

What the projector's functions make of a record does not depend on when it is read: a
replay is the same functions, the same sink, other tables.  Where Kafka has no longer
all, a record is made again from the row that it became: `events` for what retention
has deleted, `wallet_events` for what compaction has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from faust.types import TP

from ledger_streams import topics
from ledger_streams.adapters.kafka_log import KafkaLog, Partition, opened_log
from ledger_streams.adapters.postgres_balances import refresh_balances
from ledger_streams.adapters.postgres_pool import acquired
from ledger_streams.adapters.postgres_reconcile import Difference, differences
from ledger_streams.adapters.postgres_replay import Gap, LiveTables, Rebuilding, rebuilding, rows
from ledger_streams.adapters.postgres_rows import Advance, SinkBatch
from ledger_streams.adapters.postgres_sink import PostgresSink
from ledger_streams.domain.payment import FINGERPRINT_INVALID
from ledger_streams.engine.cycles import Record
from ledger_streams.engine.projection_share import ProjectionShare
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka_settings import client_options
from ledger_streams.logs import how_far
from ledger_streams.resilience import Backoff, retried
from ledger_streams.settings import Settings
from tables.projections import project_payment_event, project_saga_event, project_wallet_event

Project = Callable[[ProjectionShare, Record], None]
Say = Callable[[str], None]

FEW: Final = 2_000
"""Offsets left to read at which projectors may be made to wait; some tenths of a second."""
PASSES_MAX: Final = 10
"""A system that brings more than `FEW` during each of so many passes is as near as it gets."""
SAY_EVERY_S: Final = 2.0
"""Between two lines on how far it is."""
SWAP: Final = Backoff(first_ms=100, wait_ms_max=1_000, attempts_max=30)
"""Readers hold tables for milliseconds; a report that reads for minutes is not waited for."""


class Replayed(msgspec.Struct, frozen=True):
    """What a replay of the projections has done."""

    rows: dict[str, int]
    """By table, as rebuilt."""
    rows_before: dict[str, int]
    from_postgres: int
    """Records that Kafka no longer had."""
    seconds: float
    differences: list[Difference]
    """What the rebuilt tables contradict themselves in; they then have not been swapped."""

    @property
    def exit_code(self) -> int:
        """Return 0 when the rebuilt tables are the live ones now."""
        return 1 if self.differences else 0


class _Version(msgspec.Struct):
    aggregate_id: str
    event_version: int


_version = msgspec.json.Decoder(_Version).decode


class Rebuild:
    """Writes the rebuilt tables, as far as it is told to."""

    def __init__(self, log: KafkaLog, tables: Rebuilding, config: Settings, say: Say) -> None:
        self._log = log
        self._live: LiveTables = tables.live
        self._sink = PostgresSink(tables.pool)
        self._wallets = config.topic(topics.WALLET_EVENTS)
        self._project: Mapping[str, Project] = {
            config.topic(topics.PAYMENT_EVENTS): project_payment_event,
            config.topic(topics.SAGA_EVENTS): project_saga_event,
            self._wallets: project_wallet_event,
        }
        self._say = say
        self._began_s, self._said_s = time.monotonic(), 0.0
        self._goal: Mapping[Partition, int] = {}
        self._next: dict[Partition, int | None] = {}
        self._versions: dict[str, int] = {}
        """The last version of each wallet."""
        self.records = 0
        self.from_postgres = 0

    async def goals(self) -> dict[Partition, int]:
        """Return how far to read: to where the live projector is, else to the log's end.

        Raises InvariantBroken when log and live projections do not belong together.
        """
        live = await self._live.positions()  # before the ends, beyond which the projector may be soon
        return goals(live, await self._log.begins(self._project), await self._log.ends(self._project))

    async def take_past(self) -> None:
        """Write what Kafka no longer has; first of all, and once."""
        begins = await self._log.begins(self._project)
        self._next = dict.fromkeys(begins)
        self._goal = await self.goals()
        await self._live.keep_unreadable(FINGERPRINT_INVALID)
        async for partition, records in self._live.past_events(begins):
            share = await self._write(partition, records, next_=records[-1].offset + 1)
            if len(share.batch.events) != len(records):
                raise InvariantBroken(f"{partition}: an event before {begins[partition]} cannot be read")
            self.from_postgres += len(records)
        for partition, begin in begins.items():
            await self._reach(partition, begin)

    async def read(self, ends: Mapping[Partition, int]) -> None:
        """Write what is on the log up to `ends`."""
        begin = {partition: self._next[partition] or 0 for partition in ends}
        left = {partition: end for partition, end in ends.items() if begin[partition] < end}
        if not left:
            return
        self._goal = left
        async for partition, records in self._log.read(left, begin=begin):
            await self._write(partition, records, next_=records[-1].offset + 1)
        now_begins = await self._log.begins(self._project)
        if late := [partition for partition in left if now_begins[partition] > begin[partition]]:
            raise Unavailable(dependency="kafka", detail=f"records were deleted meanwhile: {late}")
        for partition, end in left.items():
            await self._reach(partition, end)

    async def swap(self) -> None:
        """Put what is rebuilt in its place; the log's own word on endings needs no second witness."""
        await self._live.swap(self._read_last, endings_stay=self.from_postgres > 0)

    async def _read_last(self, live: Mapping[Partition, int]) -> None:
        """Write what the live projector has come to, which waits meanwhile."""
        await self.read({partition: at for partition, at in live.items() if partition in self._next})

    def unread(self, ends: Mapping[Partition, int]) -> int:
        """Count the offsets up to `ends`."""
        return sum(max(0, end - (self._next[partition] or 0)) for partition, end in ends.items())

    async def _write(self, partition: Partition, records: Sequence[Record], *, next_: int) -> ProjectionShare:
        share = ProjectionShare(TP(*partition), records, source_next=next_)
        for record in await self._gapless(partition, records):
            self._project[partition[0]](share, record)
        share.batch.positions = {partition: Advance(self._next[partition], next_)}
        await self._sink.write(share.batch)
        self._next[partition] = next_
        self.records += len(records)
        if time.monotonic() - self._said_s >= SAY_EVERY_S:
            self._said_s = time.monotonic()
            total = self.records + self.unread(self._goal)
            self._say(how_far(self.records, total, "records read", self._said_s - self._began_s))
        return share

    async def _reach(self, partition: Partition, end: int) -> None:
        """Move over what is only markers."""
        at = self._next[partition]
        if (at or 0) < end:
            await self._sink.write(SinkBatch({partition: Advance(at, end)}))
            self._next[partition] = end

    async def _gapless(self, partition: Partition, records: Sequence[Record]) -> Iterable[Record]:
        """Return the records and what compaction has taken between them; the sink refuses other gaps."""
        if partition[0] != self._wallets:
            return records
        heads = [_version(record.value or b"") for record in records]
        gaps: list[Gap] = []
        for head in heads:
            last = self._versions.get(head.aggregate_id, 0)
            if head.event_version > last + 1:
                gaps.append((head.aggregate_id, last, head.event_version))
            self._versions[head.aggregate_id] = head.event_version
        if not gaps:
            return records
        past = await self._live.past_wallet_events(gaps, partition)
        self.from_postgres += sum(map(len, past.values()))
        found: list[Record] = []
        for record, head in zip(records, heads, strict=True):
            found += past.get((head.aggregate_id, head.event_version), ())
            found.append(record)
        return found


def goals(
    live: Mapping[Partition, int], begins: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, int]:
    """Return for each partition the live position, else its end; InvariantBroken where those are two logs."""
    for partition, end in ends.items():
        if not begins[partition] <= live.get(partition, end) <= end:
            raise InvariantBroken(
                f"{partition} is projected up to {live[partition]}, but Kafka has {begins[partition]} "
                f"to {end}: what lies between is in neither, or this is another log"
            )
    return {partition: live.get(partition, end) for partition, end in ends.items()}


async def replay_projections(config: Settings, say: Say) -> Replayed:
    """Rebuild all projections of the system of `config` and swap them, unless they contradict themselves."""
    began_s = time.monotonic()
    async with rebuilding(config.postgres_owner) as tables, opened_log(client_options(config)) as log:
        rebuild = Rebuild(log, tables, config, say)
        await rebuild.goals()
        await rebuild.take_past()
        for _ in range(PASSES_MAX):
            await rebuild.read(await rebuild.goals())
            if rebuild.unread(await rebuild.goals()) <= FEW:
                break
        say(f"{rebuild.records:,} records read, {rebuild.from_postgres:,} of them from PostgreSQL; comparing")
        await refresh_balances(tables.pool)
        found = await differences(tables.pool)
        before = await tables.live.rows()
        async with acquired(tables.pool) as connection:
            rebuilt = await rows(connection)
        if not found:
            await retried(rebuild.swap, purpose="the swap", backoff=SWAP)
            say("swapped")
    return Replayed(rebuilt, before, rebuild.from_postgres, round(time.monotonic() - began_s, 3), found)
