"""Balances over HTTP: from the cache, from the read model, and from the past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.wallet_events import BalanceAdded
from ledger_streams.ports import WalletView
from tests.unit.web_stage import PAYMENT, WALLET, Stage, served

PATH = f"/v1/wallets/{WALLET}/balance"
EUROS = {"currency": "EUR", "available": "5.00", "held": "0.00", "balance": "5.00"}
YEN = {"currency": "JPY", "available": "0", "held": "0", "balance": "0"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Open at 22:00:01, 5.00 EUR at 22:00:02; the cache has the wallet as it was opened."""
    async with served(Stage()) as stage:
        await stage.open(currencies=["JPY", "EUR"])
        added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 500, "EUR", Counterparty.EXTERNAL)
        await stage.happened(added, causation_id=PAYMENT)
        yield stage


async def read(stage: Stage, **query: str) -> tuple[int, str | None, Any]:
    response = await stage.client.get(PATH, params=query)
    return response.status, response.headers.get("X-Cache"), await response.json(content_type=None)


async def forget(stage: Stage) -> None:
    stage.cache._wallets.clear()


async def test_a_miss_reads_the_read_model_and_fills_the_cache(stage: Stage) -> None:
    await forget(stage)
    expected = {
        "wallet_id": WALLET,
        "balances": [EUROS, YEN],
        "version": 2,
        "as_of": "2026-11-24T22:00:02.000000Z",
    }
    assert await read(stage) == (200, "miss", expected)
    assert await read(stage) == (200, "hit", expected)


async def test_a_cache_hit_makes_no_query_to_the_read_model(stage: Stage) -> None:
    stage.away.add("postgres")
    status, cache, body = await read(stage)
    assert (status, cache, body["version"]) == (200, "hit", 1)


async def test_without_the_cache_the_read_model_answers(stage: Stage) -> None:
    stage.away.add("redis")
    before = reads("away")
    status, cache, body = await read(stage)
    assert (status, cache, body["version"]) == (200, "miss", 2)
    assert reads("away") == before + 1


async def test_one_currency_can_be_asked_for(stage: Stage) -> None:
    await forget(stage)
    assert (await read(stage, currency="EUR"))[2]["balances"] == [EUROS]
    assert (await read(stage, currency="USD"))[0] == 404
    status, _, problem = await read(stage, currency="euro")
    assert (status, problem["field"]) == (422, "currency")


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-11-24T22:00:01Z", 1),
        ("2026-11-24T22:00:01.999999Z", 1),
        ("2026-11-24T22:00:02Z", 2),
        ("2026-11-24T23:00:01+01:00", 1),
        ("2026-11-24T23:00:01 01:00", 1),
        ("2026-11-24T17:00:02-05:00", 2),
        ("2026-11-24t22:00:02.123456z", 2),
        ("9999-12-31T23:59:59Z", 2),
    ],
)
async def test_a_balance_of_the_past(at: str, version: int, stage: Stage) -> None:
    status, cache, body = await read(stage, at=at)
    assert (status, cache, body["version"]) == (200, "miss", version)


async def test_the_past_is_not_cached(stage: Stage) -> None:
    await forget(stage)
    await read(stage, at="2026-11-24T22:00:01Z")
    assert await stage.cache.get(WALLET) is None


@pytest.mark.parametrize(
    "at",
    [
        "",
        "now",
        "2026-11-24",
        "2026-11-24T22:00:00",
        "2026-W48-2T22:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1764021600",
        "2026-11-24T22:00:00Z; DROP TABLE wallets",
    ],
)
async def test_an_invalid_time_is_named(at: str, stage: Stage) -> None:
    status, _, problem = await read(stage, at=at)
    assert (status, problem["field"]) == (422, "at")


async def test_a_repeated_parameter_is_named(stage: Stage) -> None:
    response = await stage.client.get(f"{PATH}?currency=EUR&currency=JPY")
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, "currency")


async def test_a_slow_reader_does_not_overwrite_a_newer_wallet_with_an_older_one(stage: Stage) -> None:
    older = await stage.read_model.wallet_at(WALLET, stage.clock)
    assert isinstance(older, WalletView)
    await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"})
    await stage.cache.put([older])
    assert (await read(stage))[2]["version"] == 3


def reads(cache: str) -> float:
    return REGISTRY.get_sample_value("ledger_balance_reads_total", {"cache": cache}) or 0.0
