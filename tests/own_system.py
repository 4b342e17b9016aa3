"""A system of its own for as long as a test, or a module of tests, needs it.

Topics, a database of PostgreSQL and one of Redis.  Ids that are derived (an import's
accounts) are the same in every system, so a Redis shared by two would mix their wallets.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from redis import asyncio as aioredis

from ledger_streams import topics
from ledger_streams.adapters.postgres import migrations
from ledger_streams.settings import Settings

REDIS_DATABASES = range(1, 16)
"""Those of a Redis as it comes, without the first, which tests of one adapter share."""
TAKEN_S_MAX = 1_800
"""A test run that was killed gives its database back after this; all else in it has expired by then."""


@asynccontextmanager
async def own_system(stack: Settings, home: Path) -> AsyncIterator[Settings]:
    """Settings of a system nobody else uses, with everything made; a dead worker is noticed in 6 s."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = stack.postgres.rpartition("/")[0]
    async with own_redis(stack) as redis:
        changes = {"home": home, "postgres": f"{server}/{name}", "redis": redis, "app_id": name}
        timing = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 500, "drain_s": 0}
        settings = stack.model_copy(update={**changes, **timing, "topic_prefix": f"{name}-"})
        async with _own_database(stack, name), own_topics(settings):
            await migrations.upgrade(settings.postgres)
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


@asynccontextmanager
async def _own_database(stack: Settings, name: str) -> AsyncIterator[None]:
    await _execute(stack, f'CREATE DATABASE "{name}"')
    yield
    await _execute(stack, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(stack: Settings, statement: str) -> None:
    """Connect for one statement: a test may have killed the server meanwhile."""
    connection = await asyncpg.connect(stack.postgres)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def own_topics(settings: Settings) -> AsyncIterator[None]:
    """Make the topics of these settings, and delete all afterwards whose names have their prefix in them."""
    await topics.apply(settings)
    yield
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        ours = [name for name in await admin.list_topics() if settings.topic_prefix in name]
        await admin.delete_topics(ours)
    finally:
        await admin.close()
