"""Redis restarts with older data: the cache returns no balance older than an earlier answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from redis import asyncio as aioredis

from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.errors import Unavailable
from ledger_streams.ports import BalanceView, WalletView
from tests.live import eventually
from tests.own_redis import OwnRedis, own_redis
from tests.projected import new_id


def wallet(version: int, wallet_id: str) -> WalletView:
    amount = f"{version}.00"
    balances = {"EUR": BalanceView(available=amount, held="0.00", balance=amount, overdraft_limit="0.00")}
    return WalletView(wallet_id, new_id(), "open", version, balances, "2026-11-24T22:00:00.000000Z")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    async with own_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def redis(server: OwnRedis) -> AsyncIterator[aioredis.Redis]:
    async with connect(server.url) as redis:
        yield redis


@pytest.fixture
def cache(redis: aioredis.Redis) -> RedisBalances:
    return RedisBalances(redis, ttl_s=300)


async def version_in(redis: aioredis.Redis, wallet_id: str) -> int:
    return int(msgspec.json.decode(await redis.get(f"wallet:{wallet_id}") or b"{}")["version"])


async def away(cache: RedisBalances) -> None:
    """Have the client find out that its connections are gone."""
    with pytest.raises(Unavailable):
        await cache.learn_epoch()


async def test_a_redis_restarted_from_an_older_append_only_file_does_not_answer_with_its_entries(
    server: OwnRedis, redis: aioredis.Redis, cache: RedisBalances
) -> None:
    wallet_id = new_id()
    await cache.put([wallet(8, wallet_id)])
    server.keep_files()
    await cache.put([wallet(9, wallet_id)])
    server.kill()
    server.older_files()
    await server.start()
    await away(cache)
    assert await version_in(redis, wallet_id) == 8, "the entry is there, and it is old"
    assert await cache.get(wallet_id) is None
    await cache.put([wallet(9, wallet_id)])
    assert (view := await cache.get(wallet_id)) is not None and view.version == 9


async def test_a_redis_restarted_from_an_older_snapshot_does_not_answer_with_its_entries(
    server: OwnRedis, redis: aioredis.Redis, cache: RedisBalances
) -> None:
    wallet_id = new_id()
    await cache.put([wallet(8, wallet_id)])
    await redis.save()
    await cache.put([wallet(9, wallet_id)])
    server.kill()
    await server.start("--appendonly", "no")
    await away(cache)
    assert await version_in(redis, wallet_id) == 8, "the entry is there, and it is old"
    assert await cache.get(wallet_id) is None


async def test_a_master_that_follows_an_older_one_and_is_promoted_again_does_not_answer_with_its_entries(
    server: OwnRedis, redis: aioredis.Redis, cache: RedisBalances, tmp_path: Path
) -> None:
    wallet_id = new_id()
    await cache.put([wallet(8, wallet_id)])
    async with own_redis(tmp_path / "other") as other, connect(other.url) as other_redis:
        value = await redis.get(f"wallet:{wallet_id}")
        assert value is not None
        await other_redis.set(f"wallet:{wallet_id}", value)  # a replica up to here, by its entries
        await cache.put([wallet(9, wallet_id)])
        await redis.replicaof("127.0.0.1", str(other.port))

        async def follows() -> bool:
            return await version_in(redis, wallet_id) == 8

        await eventually(follows, what="the master has become a replica", every_s=0.02)
        with pytest.raises(Unavailable, match="replica"):
            await cache.get(wallet_id)
        await redis.replicaof("NO", "ONE")
    assert await cache.get(wallet_id) is None


async def test_an_entry_read_before_a_restart_and_put_after_it_is_ignored(
    server: OwnRedis, cache: RedisBalances
) -> None:
    wallet_id = new_id()
    server.keep_files()
    assert await cache.get(wallet_id) is None
    epoch = cache.epoch  # then PostgreSQL is read: version 8
    await cache.put([wallet(9, wallet_id)])
    server.kill()
    server.older_files()
    await server.start()
    await away(cache)
    await cache.put([wallet(8, wallet_id)], epoch)
    assert await cache.get(wallet_id) is None


async def test_a_failed_cache_write_prevents_answers_from_the_older_entry(
    server: OwnRedis, redis: aioredis.Redis, cache: RedisBalances
) -> None:
    wallet_id = new_id()
    await cache.put([wallet(8, wallet_id)])
    async with connect(server.url) as other:
        await other.client_pause(60_000, all=False)  # reads go on
        with pytest.raises(Unavailable):
            await cache.put([wallet(9, wallet_id)])
        assert await version_in(redis, wallet_id) == 8
        assert await cache.get(wallet_id) is None
        await other.client_unpause()
    await cache.put([wallet(9, wallet_id)])
    assert (view := await cache.get(wallet_id)) is not None and view.version == 9
