"""A system of its own for as long as a test, or a module of tests, needs it.

Topics, a database of PostgreSQL and one of Redis.  Ids that are derived (an import's
accounts) are the same in every system, so a Redis shared by two would mix their wallets.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis import asyncio as aioredis

from ledger_streams.settings import Settings
from tests.databases import database, own_database
from tests.own_topics import own_topics

REDIS_DATABASES = range(1, 16)
"""Those of a Redis as it comes, without the first, which tests of one adapter share."""
TAKEN_S_MAX = 1_800
"""A test run that was killed gives its database back after this; all else in it has expired by then."""


@asynccontextmanager
async def own_system(stack: Settings, home: Path) -> AsyncIterator[Settings]:
    """Settings of a system nobody else uses, with everything made; a dead worker is noticed in 6 s."""
    name = f"t{uuid.uuid4().hex[:12]}"
    async with own_redis(stack) as redis:
        changes = {"home": home, "postgres": database(stack, name), "redis": redis, "app_id": name}
        timing = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 500, "drain_s": 0}
        settings = stack.model_copy(update={**changes, **timing, "topic_prefix": f"{name}-"})
        async with own_database(stack, name), own_topics(settings):
            yield settings


@asynccontextmanager
async def own_redis(stack: Settings) -> AsyncIterator[str]:
    """Take the first database of Redis that is free, empty it, and give it back empty."""
    server = stack.redis.rpartition("/")[0]
    for number in REDIS_DATABASES:
        url = f"{server}/{number}"
        async with aioredis.Redis.from_url(url) as redis:
            is_ours = await redis.set("taken", "by a test", nx=True, ex=TAKEN_S_MAX)
        if is_ours:
            try:
                yield url
            finally:
                async with aioredis.Redis.from_url(url) as redis:  # a test may have killed the server
                    await redis.flushdb()
            return
    raise AssertionError("every database of Redis is taken")
