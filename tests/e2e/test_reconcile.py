"""`reconcile` on a live system: no differences at first, then every balance changed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from redis import asyncio as aioredis

from tests.e2e.outside import command, open_wallet, pay, record, requested, send, transfer
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(shared: LiveSystem) -> str:
    """The wallet that has 89.75 after three events; others with a history of their own are beside it."""
    ada, bob = await open_wallet(shared, funds="100.00"), await open_wallet(shared)
    assert (await pay(shared, transfer(ada, bob, "10.25")))["status"] == "completed"
    closed = await open_wallet(shared)
    await command(shared, closed, "close")
    assert (await pay(shared, transfer(bob, closed, "10.25")))["reason"] == "wallet_closed"
    assert (await pay(shared, transfer(bob, ada, "10.26")))["reason"] == "insufficient_funds"
    return ada


async def reconciled(live: LiveSystem, *options: str) -> tuple[int, Any]:
    code, out, err = await live.command("reconcile", *options, "--json")
    assert out, err
    return code, msgspec.json.decode(out)


async def check_well(live: LiveSystem) -> None:
    code, result = await reconciled(live, "--rocksdb")
    assert (code, result["differences"], result["lagging"]) == (0, [], {})
    assert (result["wallets"], result["totals"]) == (3, {"EUR": "100.00"})
    assert result["table_partitions"] == 8


@asynccontextmanager
async def changed_by_hand(live: LiveSystem, change: str, back: str, wallet_id: str) -> AsyncIterator[None]:
    await live.forge(change, wallet_id)
    try:
        yield
    finally:
        await live.forge(back, wallet_id)


def found(result: Any, kind: str) -> list[tuple[str, str]]:
    return [(each["subject"], each["detail"]) for each in result["differences"] if each["kind"] == kind]


async def test_a_consistent_system_has_no_differences(shared: LiveSystem, ada: str) -> None:
    await check_well(shared)
    code, text, _ = await shared.command("reconcile")
    assert (code, "No differences." in text, "100.00" in text) == (0, True, True)


async def test_a_changed_snapshot_is_found_with_wallet_and_figures(shared: LiveSystem, ada: str) -> None:
    change = (
        "UPDATE wallet_snapshots SET balances = jsonb_set(balances, '{EUR,balance}', '\"%s\"')"
        " WHERE wallet_id = $1"
    )
    async with changed_by_hand(shared, change % "89.76", change % "89.75", ada):
        code, result = await reconciled(shared)
        assert code == 1
        assert found(result, "snapshot_is_sum_of_events") == [(f"{ada} EUR", "snapshot 89.76, events 89.75")]
        ((subject, detail),) = found(result, "log_is_snapshot")
        assert subject == f"{ada} EUR"
        assert ("balance 89.75" in detail, "balance 89.76" in detail) == (True, True)
        code, text, _ = await shared.command("reconcile")
        assert (code, ada in text, "89.76" in text, "89.75" in text) == (1, True, True, True)
    await check_well(shared)


async def test_a_changed_amount_in_wallet_events_is_found_with_wallet_and_figures(
    shared: LiveSystem, ada: str
) -> None:
    change = (
        "UPDATE wallet_events SET event_data = jsonb_set(event_data, '{amount}', '\"%s\"')"
        " WHERE wallet_id = $1 AND event_type = 'BalanceDeducted'"
    )
    async with changed_by_hand(shared, change % "10.24", change % "10.25", ada):
        code, result = await reconciled(shared)
        assert code == 1
        assert found(result, "snapshot_is_sum_of_events") == [(f"{ada} EUR", "snapshot 89.75, events 89.76")]
    await check_well(shared)


async def test_a_changed_posting_is_found_with_event_and_payment(shared: LiveSystem, ada: str) -> None:
    change = (
        "UPDATE postings SET amount_minor = amount_minor %s 1"
        " WHERE account = 'wallet:' || $1::text AND amount_minor < 0"
    )
    async with changed_by_hand(shared, change % "+", change % "-", ada):
        code, result = await reconciled(shared)
        assert code == 1
        assert [subject for subject, _ in found(result, "snapshot_is_sum_of_postings")] == [
            f"wallet:{ada} EUR"
        ]
        assert len(found(result, "event_postings_sum_to_zero")) == 1
        assert len(found(result, "ended_payment_leaves_nothing")) == 1
    await check_well(shared)


async def test_a_missing_event_is_found(shared: LiveSystem, ada: str) -> None:
    missing = "wallet_events WHERE wallet_id = $1 AND event_version = 2"
    await shared.rows("CREATE TABLE kept AS SELECT * FROM wallet_events")
    change, back = f"DELETE FROM {missing}", f"INSERT INTO wallet_events SELECT * FROM {missing}"
    back = back.replace("FROM wallet_events", "FROM kept")
    async with changed_by_hand(shared, change, back, ada):
        code, result = await reconciled(shared)
        assert code == 1
        assert [subject for subject, _ in found(result, "versions_have_no_gap")] == [ada]
        assert found(result, "snapshot_is_sum_of_events") == [(f"{ada} EUR", "snapshot 89.75, events -10.25")]
    await check_well(shared)


async def test_a_changed_cache_is_found_with_wallet_and_figures(shared: LiveSystem, ada: str) -> None:
    async with aioredis.Redis.from_url(shared.settings.redis) as redis:
        cached = await redis.get(f"wallet:{ada}")
        assert isinstance(cached, bytes)
        await redis.set(f"wallet:{ada}", cached.replace(b'"balance":"89.75"', b'"balance":"98.75"'), ex=300)
        code, result = await reconciled(shared)
        await redis.set(f"wallet:{ada}", cached, ex=300)
    assert code == 1
    ((subject, detail),) = found(result, "cache_is_snapshot")
    assert subject == f"{ada} EUR"
    assert ("balance 89.75" in detail, "balance 98.75" in detail) == (True, True)
    assert len(result["differences"]) == 1
    await check_well(shared)


async def test_a_system_under_load_has_no_differences(shared: LiveSystem, ada: str) -> None:
    payments = [record(requested(transfer(ada, ada))) for _ in range(10)]
    others = [await open_wallet(shared) for _ in range(2)]
    payments += [record(requested(transfer(ada, others[number % 2], "0.01"))) for number in range(2_000)]
    await send(shared, payments)
    code, result = await reconciled(shared, "--rocksdb")
    assert (code, result["differences"]) == (0, [])
    assert result["table_partitions"] > 0


async def test_a_stopped_projector_lags_and_fails_the_reconciliation(shared: LiveSystem, ada: str) -> None:
    other = await open_wallet(shared)
    assert (await reconciled(shared))[0] == 0
    shared.processes["projector-1"].stop()
    await send(shared, [record(requested(transfer(ada, other, "0.01")))])
    code, result = await reconciled(shared, "--wait", "1")
    assert (code, result["lagging"] != {}) == (1, True)
    shared.start("projector")
    assert (await reconciled(shared))[0] == 0
