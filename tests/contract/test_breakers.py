"""The contract of `Breakers`, for Redis and for its twin in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from ledger_streams.adapters.redis.balances import connect
from ledger_streams.adapters.redis.breakers import RedisBreakers
from ledger_streams.ports import Breakers
from ledger_streams.settings import Settings
from ledger_streams.testing.memory_breakers import MemoryBreakers
from tests.live import eventually
from tests.projected import new_id

FAILURES_MAX = 3
OPEN_S = 60
"""Longer than any test: time passes when a test says so."""


@dataclass
class Clock:
    now_ms: float = 1_764_069_026_123.0

    def __call__(self) -> float:
        return self.now_ms


@dataclass
class Stage:
    """Breakers under test, one provider, and a way to let the open time pass."""

    breakers: Breakers
    wait_open_time: Callable[[], Awaitable[None]]
    provider: str

    async def fail(self, times: int = FAILURES_MAX) -> None:
        for _ in range(times):
            await self.breakers.record_failure(self.provider)

    async def allowed(self) -> bool:
        return await self.breakers.allow_call(self.provider)


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The Redis to ask, or None for the memory."""
    if request.param == "memory":
        return None
    settings: Settings = request.getfixturevalue("stack")
    return settings.redis


@pytest.fixture
async def stage(url: str | None) -> AsyncIterator[Stage]:
    provider = new_id()
    if url is None:
        clock = Clock()

        async def later() -> None:
            clock.now_ms += OPEN_S * 1000

        twin = MemoryBreakers(failures_max=FAILURES_MAX, open_s=OPEN_S, clock_ms=clock)
        yield Stage(twin, later, provider)
        return
    async with connect(url) as redis:

        async def backdated() -> None:
            await redis.hincrby(f"cb:{provider}", "since", -OPEN_S * 1000)

        yield Stage(RedisBreakers(redis, failures_max=FAILURES_MAX, open_s=OPEN_S), backdated, provider)
        await redis.delete(f"cb:{provider}")


async def test_a_provider_without_calls_is_allowed(stage: Stage) -> None:
    assert await stage.allowed()
    assert await stage.allowed()


async def test_consecutive_failures_open_the_breaker(stage: Stage) -> None:
    await stage.fail(FAILURES_MAX - 1)
    assert await stage.allowed()
    await stage.fail(1)
    assert not await stage.allowed()


async def test_a_success_resets_the_count_of_failures(stage: Stage) -> None:
    await stage.fail(FAILURES_MAX - 1)
    await stage.breakers.record_success(stage.provider)
    await stage.fail(FAILURES_MAX - 1)
    assert await stage.allowed()


async def test_one_provider_s_failures_are_not_another_s(stage: Stage) -> None:
    await stage.fail()
    assert await stage.breakers.allow_call(new_id())


async def test_after_the_open_time_one_trial_call_is_allowed(stage: Stage) -> None:
    await stage.fail()
    await stage.wait_open_time()
    answers = await asyncio.gather(*(stage.allowed() for _ in range(20)))
    assert sum(answers) == 1


async def test_a_successful_trial_closes_the_breaker(stage: Stage) -> None:
    await stage.fail()
    await stage.wait_open_time()
    assert await stage.allowed()
    await stage.breakers.record_success(stage.provider)
    await stage.fail(FAILURES_MAX - 1)
    assert await stage.allowed()
    assert await stage.allowed()


async def test_a_failed_trial_reopens_the_breaker_at_once(stage: Stage) -> None:
    await stage.fail()
    await stage.wait_open_time()
    assert await stage.allowed()
    await stage.fail(1)
    assert not await stage.allowed()
    await stage.wait_open_time()
    assert await stage.allowed()


async def test_a_trial_that_never_reports_is_replaced(stage: Stage) -> None:
    await stage.fail()
    await stage.wait_open_time()
    assert await stage.allowed()
    assert not await stage.allowed()
    await stage.wait_open_time()
    assert await stage.allowed()
    assert not await stage.allowed()


async def test_calls_from_before_the_opening_neither_close_the_breaker_nor_keep_it_open(stage: Stage) -> None:
    await stage.fail()
    await stage.breakers.record_success(stage.provider)
    assert not await stage.allowed()
    await stage.wait_open_time()
    await stage.fail(1)
    assert await stage.allowed()


async def test_the_hash_in_redis_shows_the_breaker_s_state(stack: Settings) -> None:
    async with connect(stack.redis) as redis:
        provider, began_ms = new_id(), time.time() * 1000 - 1_000
        breakers = RedisBreakers(redis, failures_max=2, open_s=OPEN_S)

        async def fields() -> dict[str, str]:
            found = await redis.hgetall(f"cb:{provider}")
            assert OPEN_S * 1000 < await redis.pttl(f"cb:{provider}") <= OPEN_S * 1000 + 3_600_000
            return {text(name): text(value) for name, value in found.items()}

        await breakers.record_failure(provider)
        assert (await fields())["state"] == "CLOSED"
        await breakers.record_failure(provider)
        opened = await fields()
        assert (opened["state"], opened["failures"]) == ("OPEN", "2")
        assert began_ms < int(opened["last_failure"]) == int(opened["since"]) < time.time() * 1000 + 1_000
        await redis.hincrby(f"cb:{provider}", "since", -OPEN_S * 1000)
        assert await breakers.allow_call(provider)
        assert (await fields())["state"] == "HALF_OPEN"
        await breakers.record_success(provider)
        last_failure = opened["last_failure"]
        assert await fields() == {"state": "CLOSED", "failures": "0", "last_failure": last_failure}
        await redis.delete(f"cb:{provider}")


async def test_workers_share_the_breaker_and_it_opens_once_by_the_clock_of_redis(stack: Settings) -> None:
    async with connect(stack.redis) as one, connect(stack.redis) as other:
        provider = new_id()
        first = RedisBreakers(one, failures_max=2, open_s=0.5)
        second = RedisBreakers(other, failures_max=2, open_s=0.5)
        await asyncio.gather(first.record_failure(provider), second.record_failure(provider))
        assert REGISTRY.get_sample_value("ledger_breaker_opened_total", {"provider": provider}) == 1.0
        await eventually(lambda: second.allow_call(provider), what="the open time is over", seconds=10)
        await other.script_flush()
        await second.record_success(provider)
        assert await first.allow_call(provider)
        await one.delete(f"cb:{provider}")


async def test_while_redis_is_unavailable_every_call_is_allowed_logged_once_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = skipped()
    async with connect("redis://127.0.0.1:1/0") as redis:
        breakers = RedisBreakers(redis, failures_max=1, open_s=OPEN_S)
        for _ in range(2):
            await breakers.record_failure("acme")
            assert await breakers.allow_call("acme")
        await breakers.record_success("acme")
    assert skipped() - before == 2
    assert caplog.text.count("Redis unavailable") == 1


def text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def skipped() -> float:
    return REGISTRY.get_sample_value("ledger_breaker_skipped_total", {"call": "allow_call"}) or 0.0
