"""Cache upkeep: writes the wallets of committed cycles to the cache.

The cache is written after the transaction in PostgreSQL, so it falls behind while it is away, or when a
projector dies between the two.  PostgreSQL stores for each partition up to which offset the cache is complete
(`cached_offset`).  A takeover, and the first write after an outage of the cache, continue from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from faust.types import TP

from ledger_streams.errors import Unavailable
from ledger_streams.ports import BalanceCache, WalletView

log = logging.getLogger(__name__)

CACHE_WATCH_S = 1.0
"""Interval at which `cached_offset` is stored, and a cache that was away is tried again."""


class CachePositions(Protocol):
    """The part of PostgreSQL that knows how complete the cache is (`adapters.postgres.sink`)."""

    async def dirty_wallets(self, topic: str, partition: int) -> list[WalletView]:
        """Return the wallets of a partition that the cache may lack or have in an older version."""

    async def mark_cached(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Store that the cache has all wallets up to these offsets."""


class CacheUpkeep:
    """Keeps the wallets of one projector's partitions complete in the cache."""

    def __init__(self, positions: CachePositions, cache: BalanceCache, *, topic: str) -> None:
        """`topic` is the full name of the topic whose wallets are cached."""
        self._store = positions
        self._cache = cache
        self._topic = topic
        self._committed: dict[TP, int] = {}
        """Source offset in PostgreSQL of each partition of the topic."""
        self._cached: dict[TP, int] = {}
        """Offset up to which the cache is complete; none for a partition just taken over."""
        self._behind = False
        """Whether the cache may lack wallets that PostgreSQL has."""
        self._one_at_a_time = asyncio.Lock()

    async def take_over(self, stored: Mapping[TP, int | None]) -> None:
        """Take over these partitions and write their missing wallets to the cache."""
        self._committed = {tp: next_ or 0 for tp, next_ in stored.items() if tp.topic == self._topic}
        self._cached = {}
        self._behind = True
        await self.catch_up()

    @property
    def epoch(self) -> str:
        """The cache's epoch; read it before the commit and pass it to `put`."""
        return self._cache.epoch

    async def put(self, wallets: Sequence[WalletView], committed: Mapping[TP, int], *, epoch: str) -> None:
        """Write the wallets of a committed cycle; after a failure the next catch-up writes them."""
        self._committed |= {tp: next_ for tp, next_ in committed.items() if tp.topic == self._topic}
        if self._behind:
            return
        try:
            await self._cache.put(wallets, epoch)
        except Unavailable as error:
            log.warning("Cache write of %d wallets failed: %s. Retrying every second", len(wallets), error)
            self._behind = True
        else:
            self._cached |= {tp: next_ for tp, next_ in committed.items() if tp.topic == self._topic}

    def mark_behind(self) -> None:
        """Have the next catch-up write wallets that were committed without a `put`."""
        self._behind = True

    async def watch(self) -> None:
        """Catch up once a second, without end."""
        while True:
            await asyncio.sleep(CACHE_WATCH_S)
            await self.catch_up()

    async def catch_up(self) -> None:
        """Write missing wallets to the cache and store its offset; on failure, log and return."""
        # One at a time: a second caller could mark as cached what the first has yet to write.
        async with self._one_at_a_time:
            try:
                if self._behind:
                    await self._put_missing()
                if not self._behind:
                    cached = {tp: next_ for tp, next_ in self._cached.items() if tp in self._committed}
                    await self._store.mark_cached({(tp.topic, tp.partition): cached[tp] for tp in cached})
            except Unavailable as error:
                log.warning("Cache catch-up failed: %s. Next attempt in %.0f s", error, CACHE_WATCH_S)

    async def _put_missing(self) -> None:
        # From here on each cycle writes its own wallets; PostgreSQL lists those of cycles before.
        committed, self._behind = dict(self._committed), False
        try:
            epoch = await self._cache.learn_epoch()
            for tp in committed:
                await self._cache.put(await self._store.dirty_wallets(tp.topic, tp.partition), epoch)
        except BaseException:  # also when cancelled halfway
            self._behind = True
            raise
        for tp, next_ in committed.items():
            self._cached[tp] = max(next_, self._cached.get(tp, 0))
