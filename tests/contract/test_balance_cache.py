"""The contract of `BalanceCache`, for Redis and for its twin in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.errors import Unavailable
from ledger_streams.ports import BalanceCache, BalanceView, WalletView
from ledger_streams.settings import Settings
from ledger_streams.testing.memory_balances import MemoryBalances
from tests.projected import new_id

CROWD = 500
"""More calls at once than a client has connections."""


def wallet(version: int, wallet_id: str, amount: str = "1.00") -> WalletView:
    balances = {"EUR": BalanceView(available=amount, held="0.00", balance=amount, overdraft_limit="0.00")}
    return WalletView(wallet_id, new_id(), "open", version, balances, "2026-11-24T22:00:00.000000Z")


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The Redis to ask, or None for the memory."""
    if request.param == "memory":
        return None
    settings: Settings = request.getfixturevalue("stack")
    return settings.redis


@pytest.fixture
async def cache(url: str | None) -> AsyncIterator[BalanceCache]:
    if url is None:
        yield MemoryBalances()
    else:
        async with connect(url) as redis:
            yield RedisBalances(redis, ttl_s=30)


async def test_a_wallet_put_into_the_cache_is_returned(cache: BalanceCache) -> None:
    stored = wallet(7, new_id(), "-12.34")
    await cache.put([stored])
    assert await cache.get(stored.wallet_id) == stored


async def test_an_unknown_wallet_is_none(cache: BalanceCache) -> None:
    assert await cache.get(new_id()) is None


async def test_putting_nothing_is_fine(cache: BalanceCache) -> None:
    await cache.put([])


async def test_an_older_version_never_replaces_a_newer_one(cache: BalanceCache) -> None:
    wallet_id = new_id()
    newer = wallet(10, wallet_id, "10.00")
    await cache.put([newer])
    await cache.put([wallet(9, wallet_id, "9.00")])
    assert await cache.get(wallet_id) == newer


async def test_the_newest_of_one_call_stays_whatever_the_order(cache: BalanceCache) -> None:
    one, other = new_id(), new_id()
    await cache.put([wallet(version, one) for version in (1, 2, 3)] + [wallet(v, other) for v in (3, 1, 2)])
    found = [await cache.get(one), await cache.get(other)]
    assert [view and view.version for view in found] == [3, 3]


async def test_an_entry_of_another_epoch_is_ignored_and_keeps_older_ones_out(cache: BalanceCache) -> None:
    wallet_id = new_id()
    await cache.put([wallet(10, wallet_id)], "an earlier epoch")
    assert await cache.get(wallet_id) is None
    await cache.put([wallet(9, wallet_id)])
    assert await cache.get(wallet_id) is None
    again = wallet(10, wallet_id)
    await cache.put([again], await cache.learn_epoch())
    assert await cache.get(wallet_id) == again


async def test_of_two_entries_of_one_version_the_usable_one_stays(cache: BalanceCache) -> None:
    stored = wallet(10, new_id())
    await cache.put([stored])
    await cache.put([stored], "an earlier epoch")
    assert await cache.get(stored.wallet_id) == stored
    newer = wallet(11, stored.wallet_id)
    await cache.put([newer], "an earlier epoch")
    assert await cache.get(stored.wallet_id) is None, "a newer one is there, and not known to be the newest"


async def test_the_epoch_is_known_after_the_first_response_and_stays(cache: BalanceCache) -> None:
    await cache.get(new_id())
    epoch = cache.epoch
    await cache.put([wallet(1, new_id())])
    assert epoch
    assert [cache.epoch, await cache.learn_epoch()] == [epoch, epoch]


async def test_many_simultaneous_reads_are_answered(cache: BalanceCache) -> None:
    stored = wallet(7, new_id())
    await cache.put([stored])
    found = await asyncio.gather(*(cache.get(stored.wallet_id) for _ in range(CROWD)))
    assert found == [stored] * CROWD


async def test_a_cancelled_caller_does_not_affect_the_others(stack: Settings) -> None:
    async with connect(stack.redis) as redis:
        cache, stored = RedisBalances(redis, ttl_s=30), wallet(1, new_id())
        await cache.put([stored])
        impatient, patient = (asyncio.create_task(cache.get(stored.wallet_id)) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == stored
        assert impatient.cancelled()


async def test_a_corrupt_cache_entry_fails_only_its_own_reader(stack: Settings) -> None:
    async with connect(stack.redis) as redis:
        cache, stored, spoilt = RedisBalances(redis, ttl_s=30), wallet(1, new_id()), new_id()
        await cache.put([stored])
        await redis.lpush(f"wallet:{spoilt}", "no string")
        asked = await asyncio.gather(*map(cache.get, (spoilt, stored.wallet_id)), return_exceptions=True)
        await redis.delete(f"wallet:{spoilt}")
    assert isinstance(asked[0], Unavailable)
    assert asked[1] == stored


async def test_a_cached_wallet_expires_and_a_put_renews_it(stack: Settings) -> None:
    async with connect(stack.redis) as redis:
        stored = wallet(1, new_id())
        await RedisBalances(redis, ttl_s=300).put([stored])
        await RedisBalances(redis, ttl_s=600).put([stored])
        assert 599_000 < await redis.pttl(f"wallet:{stored.wallet_id}") <= 600_000


async def test_scripts_are_loaded_again_after_redis_lost_them(stack: Settings) -> None:
    async with connect(stack.redis) as redis:
        await redis.script_flush()
        stored = wallet(1, new_id())
        await RedisBalances(redis, ttl_s=30).put([stored])
        assert await RedisBalances(redis, ttl_s=30).get(stored.wallet_id) == stored


async def test_a_stopped_redis_raises_unavailable() -> None:
    async with connect("redis://127.0.0.1:1/0") as redis:
        cache = RedisBalances(redis, ttl_s=30)
        with pytest.raises(Unavailable, match="redis is not available"):
            await cache.get(new_id())
        with pytest.raises(Unavailable, match="redis is not available"):
            await cache.put([wallet(1, new_id())])
