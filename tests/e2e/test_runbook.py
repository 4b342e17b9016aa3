"""The repairs of RUNBOOK.md, on a system that continues to run."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from redis import asyncio as aioredis

from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.e2e.outside import balance, ended, new_id, open_wallet, pay, record, requested, send, transfer
from tests.live import LiveSystem, Process
from tests.projections import at_rest, differing, projections

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAMAGE = (
    "DELETE FROM wallet_events WHERE event_version = 2",
    "DELETE FROM postings WHERE amount_minor < 0",
    "DELETE FROM events WHERE event_type = 'SagaCompleted'",
    "DELETE FROM payments WHERE status = 'failed'",
    "UPDATE payments SET status = 'pending', ended_at = NULL",
    "UPDATE wallet_snapshots SET balances = jsonb_set(balances, '{EUR,balance}', '\"7.77\"')",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wallets(shared: LiveSystem) -> tuple[str, str]:
    """Ada with 89.75 and Bob with 10.25, after payments of every kind of outcome."""
    ada, bob = await open_wallet(shared, funds="100.00"), await open_wallet(shared)
    paid = transfer(ada, bob, "20.50")
    assert (await pay(shared, paid))["status"] == "completed"
    refund = {"amount": "10.25"}
    await shared.request("POST", f"/v1/payments/{paid['payment_id']}/refund?wait=20", json=refund)
    assert (await pay(shared, transfer(bob, ada, "1000.00")))["reason"] == "insufficient_funds"
    hold = {"hold_id": new_id(), "amount": "5.00", "currency": "EUR"}
    assert (await shared.request("POST", f"/v1/wallets/{ada}/holds", json=hold))[0] == 201
    twice = record(requested(transfer(ada, bob, "-1.00")))
    again = record(requested(paid))
    await send(shared, [twice, twice, again, again])
    await well(shared)
    return ada, bob


async def well(live: LiveSystem) -> None:
    """Everything that knows a balance knows the same, RocksDB included."""
    code, out, err = await live.command("reconcile", "--rocksdb", "--json")
    assert code == 0, err + out


async def damage(live: LiveSystem) -> None:
    for statement in DAMAGE:
        await live.forge(statement)
    assert (await live.command("reconcile", "--json"))[0] == 1


async def test_wrong_projections_are_rebuilt_row_by_row_as_they_were(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    before = await at_rest(shared)
    await damage(shared)
    result = await shared.document("replay", "projections")
    assert (result["differences"], result["from_postgres"]) == ([], 0)
    assert result["rows"] == {table: len(rows) for table, rows in before.items()} | {"parked_records": 0}
    assert result["rows_before"]["postings"] < result["rows"]["postings"]
    assert differing(before, await projections(shared)) == {}
    await well(shared)
    assert [await balance(shared, wallet) for wallet in wallets] == ["89.75", "10.25"]


@pytest.mark.slow
async def test_after_a_rebuild_the_projector_goes_on_and_another_rebuild_changes_nothing(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    ada, bob = wallets
    await shared.document("replay", "projections")
    assert (await pay(shared, transfer(ada, bob, "1.00")))["status"] == "completed"
    assert (await pay(shared, transfer(bob, ada, "1.00")))["status"] == "completed"
    before = await at_rest(shared)
    await shared.document("replay", "projections")
    assert differing(before, await projections(shared)) == {}
    assert shared.processes["projector-1"].exit_code is None, shared.processes["projector-1"].tail()


@pytest.mark.slow
async def test_a_rebuild_beside_payments_under_way_shows_no_wrong_answer(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    source, target = await open_wallet(shared, funds="1000.00"), await open_wallet(shared)
    answers: list[tuple[int, Any]] = []
    over = asyncio.Event()

    async def keep_asking() -> None:
        while not over.is_set():
            status, body, _ = await shared.request("GET", f"/v1/wallets/{target}")
            answers.append((status, body))

    asking = asyncio.create_task(keep_asking())
    await send(shared, [record(requested(transfer(source, target, "0.10"))) for _ in range(3_000)])
    result = await shared.document("replay", "projections")
    over.set()
    await asking
    assert result["differences"] == []
    assert {status for status, _ in answers} == {200}
    versions = [body["version"] for _, body in answers]
    assert versions == sorted(versions), "an answer went back"
    await well(shared)
    assert await balance(shared, target) == "300.00"
    assert shared.processes["projector-1"].exit_code is None, shared.processes["projector-1"].tail()


async def test_a_lost_cache_is_filled_from_the_snapshots(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    async with aioredis.Redis.from_url(shared.settings.redis) as redis:
        await redis.flushdb()
        await redis.set("taken", "by a test", ex=1_800)
    filled = await shared.document("replay", "cache")
    known = await shared.rows("SELECT count(*) FROM wallet_snapshots")
    assert filled == {"wallets": known[0][0]}
    for wallet, amount in zip(wallets, ("89.75", "10.25"), strict=True):
        status, body, headers = await shared.request("GET", f"/v1/wallets/{wallet}/balance")
        assert (status, headers["X-Cache"], body["balances"][0]["balance"]) == (200, "hit", amount)
    await well(shared)


async def test_tables_of_a_running_worker_are_left_alone(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    code, out, err = await shared.command("replay", "tables", "--worker", "1", "--yes")
    assert (code, out, "worker 1 is running: stop it first" in err) == (1, "", True)
    code, _, err = await shared.command("replay", "tables", "--worker", "9", "--yes")
    assert (code, "there is no worker 9" in err) == (1, True)
    await well(shared)


async def test_tables_of_a_stopped_worker_are_deleted_and_come_back_from_the_log(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    for name in ("1", "2"):
        shared.processes[f"worker-{name}"].stop()
    done = await shared.document("replay", "tables", "--worker", "1", "--table", "wallets", "--yes")
    assert list(done["deleted"]) == ["wallets"]
    assert done["deleted"]["wallets"]
    for name in ("1", "2"):
        await shared.document("replay", "tables", "--worker", name, "--yes")
        assert await stored_keys(shared, name) == 0
    await started_again(shared)
    assert await stored_keys(shared, "1") + await stored_keys(shared, "2") > 0
    ada, bob = wallets
    assert (await pay(shared, transfer(ada, bob, "1.00")))["status"] == "completed"
    assert (await pay(shared, transfer(bob, ada, "1.00")))["status"] == "completed"
    await well(shared)


async def test_a_confirmation_other_than_yes_deletes_nothing(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    worker = shared.processes["worker-2"]
    worker.stop()
    keys = await stored_keys(shared, "2")
    code, _, err = await shared.command("replay", "tables", "--worker", "2")
    assert (code, "will be deleted" in err) == (1, True)
    assert await stored_keys(shared, "2") == keys
    worker.start()
    await shared.ready("2")


@pytest.mark.slow
async def test_a_lost_folder_is_restored_at_the_next_start(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    shared.processes["worker-1"].kill()
    shutil.rmtree(shared.settings.home / "workers" / "1")
    await started_again(shared)
    ada, bob = wallets
    assert (await pay(shared, transfer(ada, bob, "1.00")))["status"] == "completed"
    assert (await pay(shared, transfer(bob, ada, "1.00")))["status"] == "completed"
    await well(shared)


async def test_a_worker_whose_id_is_taken_exits_with_the_reason(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    code, out, err = await shared.command("worker", "--without-web")
    assert (code, "worker id 1 is in use" in out + err) == (EXIT_SOFTWARE, True)
    assert "Traceback" not in out + err
    await well(shared)


async def started_again(live: LiveSystem) -> None:
    for name in ("1", "2"):
        if live.processes[f"worker-{name}"].exit_code is not None:
            live.processes[f"worker-{name}"].start()
    for name in ("1", "2"):
        await live.ready(name)


async def stored_keys(live: LiveSystem, worker_id: str) -> int:
    code, out, err = await live.command("tables", "--worker", worker_id, "--json")
    assert code == 0, err
    return sum(table["keys"] for table in msgspec.json.decode(out))


@pytest.mark.slow
async def test_of_two_workers_with_one_id_on_two_machines_the_older_ends_and_no_harm_is_done(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    older, (ada, bob) = shared.processes["worker-2"], wallets
    elsewhere = shared.settings.home / "elsewhere"
    elsewhere.mkdir()
    environment = shared.environment("2") | {"LEDGER_HOME": str(elsewhere)}
    command = [sys.executable, "-m", "ledger_streams", "worker", "--without-web"]
    newer = Process("newer", command, environment, shared.settings.home / "newer.log")
    newer.start()
    try:
        await send(shared, [record(requested(transfer(ada, bob, "0.01"))) for _ in range(50)])
        assert older.wait(60) == EXIT_SOFTWARE
        assert "is used by another process" in older.log.read_text()
    finally:
        newer.stop()
    await started_again(shared)
    assert (await pay(shared, transfer(bob, ada, "0.50")))["status"] == "completed"
    await well(shared)


async def test_after_lost_positions_the_projector_ends_and_goes_on_from_the_rebuilt_ones(
    shared: LiveSystem, wallets: tuple[str, str]
) -> None:
    projector, (ada, bob) = shared.processes["projector-1"], wallets
    await shared.rows("DELETE FROM projection_positions")
    paid = [transfer(ada, bob), transfer(bob, ada)]
    await send(shared, [record(requested(payment)) for payment in paid])
    assert projector.wait() == EXIT_SOFTWARE
    assert "has lost its partitions" in projector.log.read_text()
    await shared.document("replay", "projections")
    projector.start()
    await well(shared)
    assert [(await ended(shared, payment["payment_id"]))["status"] for payment in paid] == ["completed"] * 2
