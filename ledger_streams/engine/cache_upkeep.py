"""Cache upkeep: the wallets that a projector has committed to PostgreSQL, put into the cache after it.

The cache is written outside the transaction, so it can fall behind: while it is away, and
when a projector dies between the two.  PostgreSQL keeps for each partition up to where the
cache is complete (`cached_offset`); a takeover, and a cache that comes back, start there.
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
"""How often the cache's position is noted, and a cache that was away is tried again."""


class CachePositions(Protocol):
    """What PostgreSQL knows of the cache (`adapters.postgres_sink`)."""

    async def dirty_wallets(self, topic: str, partition: int) -> list[WalletView]:
        """Return the wallets of a partition that the cache may not have as they are."""

    async def mark_cached(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note that the cache has all wallets up to these offsets."""


class CacheUpkeep:
    """Keeps one projector's partitions complete in the cache."""

    def __init__(self, positions: CachePositions, cache: BalanceCache, *, topic: str) -> None:
        """`topic` is the full name of the topic whose wallets are cached."""
        self._store = positions
        self._cache = cache
        self._topic = topic
        self._committed: dict[TP, int] = {}
        """Up to where PostgreSQL has this projector's partitions of the topic."""
        self._cached: dict[TP, int] = {}
        """Up to where the cache has the wallets of each; a partition just taken over has no entry yet."""
        self._behind = False
        """Whether the cache may miss wallets that PostgreSQL has."""
        self._one_at_a_time = asyncio.Lock()

    async def take_over(self, stored: Mapping[TP, int | None]) -> None:
        """Own these partitions from now on, and put what the cache may be missing of them."""
        self._committed = {tp: next_ or 0 for tp, next_ in stored.items() if tp.topic == self._topic}
        self._cached = {}
        self._behind = True
        await self.catch_up()

    @property
    def epoch(self) -> str:
        """The cache's epoch, as it is to be given to `put`: see it before the commit."""
        return self._cache.epoch

    async def put(self, wallets: Sequence[WalletView], committed: Mapping[TP, int], *, epoch: str) -> None:
        """Put the wallets of a committed cycle; one that the cache does not take is found again later."""
        self._committed |= {tp: next_ for tp, next_ in committed.items() if tp.topic == self._topic}
        if self._behind:
            return
        try:
            await self._cache.put(wallets, epoch)
        except Unavailable as error:
            log.warning("The cache misses %d wallets until it is back: %s", len(wallets), error)
            self._behind = True
        else:
            self._cached |= {tp: next_ for tp, next_ in committed.items() if tp.topic == self._topic}

    def mark_behind(self) -> None:
        """Note that wallets were committed which no `put` will bring: the next catch-up finds them."""
        self._behind = True

    async def watch(self) -> None:
        """Catch up once a second, for ever."""
        while True:
            await asyncio.sleep(CACHE_WATCH_S)
            await self.catch_up()

    async def catch_up(self) -> None:
        """Put what the cache may be missing, and note how far it is; while it is away, do so later."""
        async with self._one_at_a_time:  # else the one could note as cached what the other has still to put
            try:
                if self._behind:
                    await self._put_missing()
                if not self._behind:
                    cached = {tp: next_ for tp, next_ in self._cached.items() if tp in self._committed}
                    await self._store.mark_cached({(tp.topic, tp.partition): cached[tp] for tp in cached})
            except Unavailable as error:
                log.warning("The cache is not complete yet, the next attempt is in a second: %s", error)

    async def _put_missing(self) -> None:
        # A commit from here on is put by its own cycle; those before it are found in PostgreSQL.
        committed, self._behind = dict(self._committed), False
        try:
            epoch = await self._cache.learn_epoch()
            for tp in committed:
                await self._cache.put(await self._store.dirty_wallets(tp.topic, tp.partition), epoch)
        except BaseException:  # cancelled in the middle, too, something is still to be put
            self._behind = True
            raise
        for tp, next_ in committed.items():
            self._cached[tp] = max(next_, self._cached.get(tp, 0))
