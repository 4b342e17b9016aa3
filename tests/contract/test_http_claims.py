"""The contract of `Claims`, for Redis and for its twin in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger_streams.adapters.redis.balances import connect
from ledger_streams.adapters.redis.claims import RedisClaims
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings
from tests.projected import new_id
from tests.unit.web_twins import MemoryClaims
from web.services import Claims


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The Redis to ask, or None for the memory."""
    if request.param == "memory":
        return None
    settings: Settings = request.getfixturevalue("stack")
    return settings.redis


@pytest.fixture
async def claims(url: str | None) -> AsyncIterator[Claims]:
    if url is None:
        yield MemoryClaims(set())
    else:
        async with connect(url) as redis:
            yield RedisClaims(redis)


async def test_the_first_claim_holds_the_id(claims: Claims) -> None:
    payment_id = new_id()
    for fingerprint in ("first", "second", "first"):
        assert await claims.claim({payment_id: fingerprint}) == {payment_id: "first"}


async def test_many_ids_are_claimed_at_once_independently(claims: Claims) -> None:
    held, free = new_id(), new_id()
    await claims.claim({held: "first"})
    assert await claims.claim({free: "second", held: "second"}) == {free: "second", held: "first"}
    assert await claims.claim({}) == {}


async def test_of_many_simultaneous_claims_one_holds_the_id(claims: Claims) -> None:
    payment_id = new_id()
    holders = await asyncio.gather(*(claims.claim({payment_id: f"fingerprint {n}"}) for n in range(20)))
    assert len({holder[payment_id] for holder in holders}) == 1


async def test_a_stopped_redis_raises_unavailable() -> None:
    async with connect("redis://127.0.0.1:1/0") as redis:
        with pytest.raises(Unavailable, match="redis"):
            await RedisClaims(redis).claim({new_id(): "first"})
