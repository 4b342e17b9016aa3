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

from ledger_streams.adapters.bounded_close import close_within
from ledger_streams.adapters.kafka_log import log_reader
from ledger_streams.adapters.postgres_rows import Advance, SinkBatch
from ledger_streams.adapters.postgres_sink import PostgresSink
from ledger_streams.engine.ahead import Ahead
from ledger_streams.engine.cycles import Cycle, Record, Share
from ledger_streams.engine.deadlines import Due
from ledger_streams.engine.kip447 import Membership
from ledger_streams.engine.phases import Phases
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.metrics import CYCLE_RECORDS, CYCLE_SECONDS
from ledger_streams.ports import BalanceCache, WalletView
from ledger_streams.resilience import retried

log = logging.getLogger(__name__)

CACHE_WATCH_S = 1.0
"""How often the cache's position is noted, and a cache that was away is tried again."""


class Stores(NamedTuple):
    """Where projections go, and how to let go of them."""

    sink: PostgresSink
    cache: BalanceCache
    close: Callable[[], Awaitable[None]]


class ProjectionShare(Share):
    """A partition's records and the rows they become."""

    __slots__ = ("batch", "wallets")

    def __init__(self, tp: TP, records: Sequence[Record], *, source_next: int) -> None:
        super().__init__(tp, records, source_next=source_next)
        self.batch = SinkBatch(positions={})
        self.wallets: dict[str, WalletView] = {}
        """Newest state of each wallet in this share, for the cache."""


class ProjectionCommitter:
    """One PostgreSQL transaction a cycle."""

    def __init__(
        self, *, bootstrap: str, open_stores: Callable[[], Awaitable[Stores]], cached_topic: str
    ) -> None:
        self._bootstrap = bootstrap
        self._open_stores = open_stores
        self._cached_topic = cached_topic
        """Full name of the topic whose wallets are cached."""
        self.ahead = Ahead()  # of nothing: a projector writes nothing to Kafka
        self._stores: Stores | None = None
        self._next: dict[TP, int] = {}
        self._stored: dict[TP, int | None] = {}
        """The positions as PostgreSQL has them: what a write must find there."""
        self._cached: dict[TP, int] = {}
        """Up to where the cache has the wallets."""
        self._cache_behind = False
        """Whether the cache may miss wallets that PostgreSQL has; they are found there."""
        self._cache_task: asyncio.Task[None] | None = None

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, phases: Phases
    ) -> Mapping[TP, int]:
        """Return where PostgreSQL has come to, after putting into the cache what it may be missing."""
        phases.enter("open")
        if self._stores is None:
            self._stores = await self._open_stores()
            await self._stores.sink.ensure_partitions()
        stored = await self._stores.sink.positions([(tp.topic, tp.partition) for tp in assigned])
        self._stored = {tp: stored[tp.topic, tp.partition] for tp in assigned}
        self._next = await self._readable(self._stored)
        self._cache_behind = True
        phases.enter("restore")
        await self._catch_up_cache()
        if self._cache_task is None:
            self._cache_task = asyncio.create_task(self._watch_cache())
        log.info("generation %d: projecting %d partitions", membership.generation, len(assigned))
        return self._next

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return nothing: projections wait for nothing."""
        return {}

    def next_due_ms(self) -> int | None:
        """Return None, likewise."""
        return None

    def share(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], passed_to: int = 0
    ) -> Share | None:
        """Return the records from the partition's position on, as a share; None when there is nothing."""
        position = self._next[tp]
        if records and records[0].offset < position:
            records = [record for record in records if record.offset >= position]
        source_next = records[-1].offset + 1 if records else passed_to
        return ProjectionShare(tp, records, source_next=source_next) if source_next > position else None

    async def carry_on(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Write the cycle's rows and positions; waits for PostgreSQL for as long as it is away."""
        assert self._stores is not None, "a cycle comes after a takeover"
        sink, began = self._stores.sink, time.perf_counter()
        shares = [share for share in cycle.shares if isinstance(share, ProjectionShare)]
        batch = _merged(shares, self._stored)
        await retried(lambda: sink.write(batch), purpose="projections wait for PostgreSQL")
        written = time.perf_counter()
        for share in shares:
            self._next[share.tp] = self._stored[share.tp] = share.source_next
            CYCLE_RECORDS.labels(share.tp.topic).inc(len(share.records))
        if await self._cache(shares):
            self._cached.update({share.tp: share.source_next for share in shares})
        CYCLE_SECONDS.labels("commit").observe(written - began)
        CYCLE_SECONDS.labels("keep").observe(time.perf_counter() - written)
        return {}

    async def give_up(self) -> None:
        """Nothing: what was not committed was never sent."""

    async def between_cycles(self) -> None:
        """Nothing: what a projector writes is PostgreSQL's."""

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

    async def _cache(self, shares: Sequence[ProjectionShare]) -> bool:
        """Put the shares' wallets into the cache; False when it is behind, and will be brought up later."""
        assert self._stores is not None, "a cycle comes after a takeover"
        if self._cache_behind:
            return False
        try:
            await self._stores.cache.put([wallet for share in shares for wallet in share.wallets.values()])
        except Unavailable as error:
            log.warning("the cache is behind until it is back: %s", error)
            self._cache_behind = True
        return not self._cache_behind

    async def _watch_cache(self) -> None:
        """Bring the cache up to date after it was away, and note how far it is, once in a while."""
        while True:
            await asyncio.sleep(CACHE_WATCH_S)
            try:
                await self._catch_up_cache()
            except Unavailable as error:
                log.warning("the cache is still behind: %s", error)

    async def _catch_up_cache(self) -> None:
        """Put what the cache may be missing, and note how far it is; while it is away, do so later."""
        assert self._stores is not None, "catching up comes after opening"
        sink, cache = self._stores.sink, self._stores.cache
        if self._cache_behind:
            # What is committed from here on is put by its own cycle, what was before is found in PostgreSQL.
            reached, self._cache_behind = dict(self._stored), False
            try:
                for tp in self._cached_partitions():
                    await cache.put(await sink.dirty_wallets(tp.topic, tp.partition))
            except Unavailable as error:
                log.warning("the cache is behind until it is back: %s", error)
                self._cache_behind = True
                return
            self._cached.update({tp: position or 0 for tp, position in reached.items()})
        marks = {(tp.topic, tp.partition): self._cached[tp] for tp in self._cached_partitions()}
        await sink.mark_cached(marks)

    def _cached_partitions(self) -> list[TP]:
        return [tp for tp in self._stored if tp.topic == self._cached_topic]


def _merged(shares: Sequence[ProjectionShare], stored: Mapping[TP, int | None]) -> SinkBatch:
    """Return one batch of all shares, with the positions it moves."""
    merged = SinkBatch(
        positions={
            (share.tp.topic, share.tp.partition): Advance(stored[share.tp], share.source_next)
            for share in shares
        }
    )
    for share in shares:
        merged.events += share.batch.events
        merged.wallet_events += share.batch.wallet_events
        merged.snapshots += share.batch.snapshots
        merged.payments += share.batch.payments
        merged.payment_outcomes += share.batch.payment_outcomes
        merged.refunds += share.batch.refunds
        merged.postings += share.batch.postings
    return merged
