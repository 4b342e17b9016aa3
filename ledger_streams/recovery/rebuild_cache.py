"""Rebuild of the cache: every wallet's snapshot from PostgreSQL to Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.logs import progress_text
from ledger_streams.settings import Settings

PUT_AT_ONCE: Final = 1_000
"""Wallets per round trip to Redis."""
SAY_EVERY_S: Final = 2.0
"""Interval of progress lines."""


async def fill_cache(config: Settings, say: Callable[[str], None]) -> int:
    """Write all snapshots to the cache; return their number.  Raises Unavailable if Redis is down.

    It calls `say` with the progress every `SAY_EVERY_S`, and at the end.
    """
    pool, redis = await create_pool(config.postgres), connect(config.redis)
    try:
        balances = RedisBalances(redis, ttl_s=config.balance_ttl_s)
        epoch = await balances.learn_epoch()
        views = list((await snapshots(pool)).values())
        began_s = said_s = time.monotonic()
        for first in range(0, len(views), PUT_AT_ONCE):
            await balances.put(views[first : first + PUT_AT_ONCE], epoch)
            done, now_s = min(first + PUT_AT_ONCE, len(views)), time.monotonic()
            if now_s - said_s >= SAY_EVERY_S or done == len(views):
                said_s = now_s
                say(progress_text(done, len(views), "wallets in the cache", now_s - began_s))
        return len(views)
    finally:
        await close_within("redis", redis.aclose())
        await close_within("postgres", pool.close())
