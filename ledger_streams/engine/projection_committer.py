"""The projector's committer: a cycle's rows into PostgreSQL, then its wallets into Redis.

The source positions live in PostgreSQL and move in the transaction of the rows, so
PostgreSQL is exactly once too, and a zombie's late write fails on them.  Redis is
written after the commit; how far that has come is kept as well, and what may be
missing is put there again at a takeover.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from ledger_streams import background
from ledger_streams.adapters.postgres.parked_rows import add
from ledger_streams.adapters.postgres.rows import Advance, SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.bounded_close import close_within
from ledger_streams.engine.batches import Cycle, PartitionBatch, Record
from ledger_streams.engine.cache_upkeep import CacheUpkeep
from ledger_streams.engine.loopback import LoopbackQueue
from ledger_streams.engine.projection_batch import ProjectionBatch
from ledger_streams.engine.projection_parking import Parking
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken, Unavailable, Unreadable
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.log_reader import log_reader
from ledger_streams.metrics import CYCLE_RECORDS, CYCLE_SECONDS
from ledger_streams.ports import BalanceCache
from ledger_streams.resilience import retried

log = logging.getLogger(__name__)


class Stores(NamedTuple):
    """Where projections go, and how to let go of them."""

    sink: PostgresSink
    parking: Parking
    cache: BalanceCache
    close: Callable[[], Awaitable[None]]


class ProjectionCommitter:
    """One PostgreSQL transaction a cycle."""

    def __init__(
        self, *, bootstrap: Bootstrap, open_stores: Callable[[], Awaitable[Stores]], cached_topic: str
    ) -> None:
        self._bootstrap = bootstrap
        self._open_stores = open_stores
        self._cached_topic = cached_topic
        """Full name of the topic whose wallets are cached."""
        self.loopback = LoopbackQueue()  # of nothing: a projector writes nothing to Kafka
        self._stores: Stores | None = None
        self._next: dict[TP, int] = {}
        self._stored: dict[TP, int | None] = {}
        """The positions as PostgreSQL has them: what a write must find there."""
        self._upkeep: CacheUpkeep | None = None
        self._cache_task: asyncio.Task[None] | None = None

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, progress: TakeoverProgress
    ) -> Mapping[TP, int]:
        """Return where PostgreSQL has come to, after putting into the cache what it may be missing."""
        progress.enter("open")
        if self._stores is None:
            self._stores = await self._open_stores()
            self._upkeep = CacheUpkeep(self._stores.sink, self._stores.cache, topic=self._cached_topic)
            await self._stores.sink.ensure_partitions()
        assert self._upkeep is not None, "it is made with the stores"
        stored = await self._stores.sink.positions([(tp.topic, tp.partition) for tp in assigned])
        self._stored = {tp: stored[tp.topic, tp.partition] for tp in assigned}
        self._next = await self._readable(self._stored)
        await self._stores.parking.take_over(list(assigned))
        progress.enter("restore")
        await self._upkeep.take_over(self._stored)
        if self._cache_task is None:
            self._cache_task = background.start("cache-upkeep", self._upkeep.watch)
        log.info("generation %d: projecting %d partitions", membership.generation, len(assigned))
        return self._next

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return nothing: projections wait for nothing."""
        return {}

    def next_due_ms(self) -> int | None:
        """Return None, likewise."""
        return None

    def new_batch(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], past_markers_to: int = 0
    ) -> PartitionBatch | None:
        """Return the records from the partition's position on, as a share; None when there is nothing."""
        position = self._next[tp]
        if records and records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        source_next = records[-1].offset + 1 if records else past_markers_to
        return ProjectionBatch(tp, records, source_next=source_next) if source_next > position else None

    async def advance(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Write the cycle's rows and positions; waits for PostgreSQL for as long as it is away."""
        assert self._stores is not None and self._upkeep is not None, "a cycle comes after a takeover"
        began = time.perf_counter()
        batches = [batch for batch in cycle.batches if isinstance(batch, ProjectionBatch)]
        epoch = self._upkeep.epoch
        await self._write(batches, self._stores, self._upkeep)
        written = time.perf_counter()
        for batch in batches:
            self._next[batch.tp] = self._stored[batch.tp] = batch.source_next
            CYCLE_RECORDS.labels(batch.tp.topic).inc(len(batch.records))
        wallets = [wallet for batch in batches for wallet in batch.wallets.values()]
        await self._upkeep.put(wallets, {batch.tp: batch.source_next for batch in batches}, epoch=epoch)
        CYCLE_SECONDS.labels("commit").observe(written - began)
        CYCLE_SECONDS.labels("keep").observe(time.perf_counter() - written)
        return {}

    async def _write(self, batches: Sequence[ProjectionBatch], stores: Stores, upkeep: CacheUpkeep) -> None:
        """Write all in one transaction; where a record stands in the way, its partition by itself."""
        concerned = [batch for batch in batches if stores.parking.concerns(batch)]
        others = [batch for batch in batches if batch not in concerned] if concerned else batches
        if others:
            rows = _merge_rows(others, self._stored)
            try:
                await retried(lambda: stores.sink.write(rows), purpose="projections wait for PostgreSQL")
            except Unreadable as refusal:
                log.warning("A batch was refused, its partitions are written record by record: %s", refusal)
                concerned = [*batches]
        for batch in concerned:
            if not await stores.parking.write(batch, self._stored):
                upkeep.mark_behind()

    async def abort(self) -> None:
        """Nothing: what was not committed was never sent."""

    async def between_cycles(self) -> None:
        """Look whether parked records were retried, where any are."""
        if self._stores is not None:
            await self._stores.parking.between_cycles()

    @property
    def parked(self) -> int:
        """How many parked records wait in the partitions of this projector."""
        return 0 if self._stores is None else sum(self._stores.parking.waiting.values())

    async def close(self) -> None:
        """Close the connections."""
        if self._cache_task is not None:
            self._cache_task.cancel()
        stores, self._stores = self._stores, None
        if stores is not None:
            await close_within("the projection's stores", stores.close())

    async def _readable(self, stored: Mapping[TP, int | None]) -> dict[TP, int]:
        """Return the positions to read from, checked against what Kafka still has."""
        if not stored:
            return {}  # more projectors than partitions: this one stands by
        consumer = log_reader(self._bootstrap)
        partitions = [TopicPartition(*tp) for tp in stored]
        try:
            await consumer.start()
            beginnings = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        except KafkaError as error:
            raise Unavailable(dependency="kafka", detail=repr(error)) from error
        finally:
            await close_within("the reader of ends", consumer.stop())
        positions = {tp: beginnings[tp] if next_ is None else next_ for tp, next_ in stored.items()}
        for tp, position in positions.items():
            if not beginnings[tp] <= position <= ends[tp]:
                raise InvariantBroken(
                    f"{tp} is projected up to {position}, but Kafka has {beginnings[tp]} to {ends[tp]}: "
                    "the projections belong to another log and have to be rebuilt"
                )
        return positions


def _merge_rows(batches: Sequence[ProjectionBatch], stored: Mapping[TP, int | None]) -> SinkBatch:
    """Return one batch of all shares, with the positions it moves."""
    rows = SinkBatch(
        positions={
            (batch.tp.topic, batch.tp.partition): Advance(stored[batch.tp], batch.source_next)
            for batch in batches
        }
    )
    for batch in batches:
        add(rows, batch.rows)
    return rows
