"""RUNBOOK.md, "A lost Kafka": all topics are lost, and the system resumes from PostgreSQL."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from ledger_streams import topics
from ledger_streams.audit.day_close import close_and_publish
from ledger_streams.engine.state.log_generation import groups_with_members
from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.e2e.outside import balance, new_id, open_wallet, pay, read, record, requested, send, transfer
from tests.live import LiveSystem, Process, eventually

pytestmark = pytest.mark.slow

PAYMENTS = 600
AMOUNT_MINOR = 10


async def lose(live: LiveSystem, only: str = "") -> None:
    """Stop what runs, projectors first, and destroy all topics or one; empty ones follow."""
    for name in sorted(live.processes):
        live.processes[name].stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=live.settings.kafka)
    await admin.start()

    async def ours() -> list[str]:
        lost = live.settings.topic(only)  # without a name, what all of them begin with
        return [name for name in await admin.list_topics() if name.startswith(lost)]

    async def are_gone() -> bool:
        return not await ours()

    try:
        await admin.delete_topics(await ours())
        await eventually(are_gone, what="the topics are gone")
    finally:
        await admin.close()
    await topics.apply(live.settings)


async def under_load(live: LiveSystem, source: str, target: str) -> list[dict[str, Any]]:
    """Send payments, and return them when some have been projected, and others are still under way."""
    before = await live.ended_payments()
    paid = [transfer(source, target, "0.10") for _ in range(PAYMENTS)]
    await send(live, [record(requested(payment)) for payment in paid])

    async def some_have_ended() -> bool:
        return await live.ended_payments() > before

    await eventually(some_have_ended, what="some payments have ended", every_s=0.01)
    return paid


async def all_end(live: LiveSystem) -> None:
    async def nothing_is_under_way() -> bool:
        return not await live.rows("SELECT FROM payments WHERE ended_at IS NULL LIMIT 1")

    await eventually(nothing_is_under_way, what="all payments have ended")


async def well(live: LiveSystem) -> None:
    code, out, err = await live.command("reconcile", "--rocksdb", "--json")
    assert code == 0, err + out


async def untouched(live: LiveSystem) -> None:
    code, out, err = await live.command("audit", "verify")
    assert code == 0, err + out


async def minor(live: LiveSystem, wallet_id: str) -> int:
    return int((await balance(live, wallet_id)).replace(".", ""))


async def statuses(live: LiveSystem, paid: list[dict[str, Any]]) -> dict[str, int]:
    ids = [payment["payment_id"] for payment in paid]
    query = "SELECT status, count(*) FROM payments WHERE payment_id = ANY($1::uuid[]) GROUP BY status"
    return {row["status"]: row["count"] for row in await live.rows(query, ids)}


async def refill_and_go_on(live: LiveSystem) -> None:
    code, out, err = await live.command("replay", "topics")
    assert code == 0 or "use --despite-tables" in out, out + err
    written = await live.document("replay", "topics", "--despite-tables")
    assert written["is_written"]
    assert (await live.document("replay", "topics"))["was_written_before"]
    await live.start_all(1)
    await all_end(live)
    await well(live)
    await close_and_publish(live.settings)
    await untouched(live)


async def test_after_the_loss_of_all_topics_known_payments_end_once_and_lost_ones_can_be_sent_again(
    live: LiveSystem,
) -> None:
    await live.start_all(1)
    ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
    early = transfer(ada, bob, "20.00")
    assert (await pay(live, early))["status"] == "completed"
    refund = f"/v1/payments/{early['payment_id']}/refund?wait=20"
    assert (await live.request("POST", refund, json={"amount": "5.00"}))[0] == 200
    hold = {"hold_id": new_id(), "amount": "5.00", "currency": "EUR"}
    assert (await live.request("POST", f"/v1/wallets/{ada}/holds", json=hold))[0] == 201
    await close_and_publish(live.settings)
    paid = await under_load(live, ada, bob)
    await lose(live)

    await refill_and_go_on(live)
    await send(live, [record(requested(payment)) for payment in paid])
    await all_end(live)
    await well(live)
    found = await statuses(live, paid)
    assert sum(found.values()) == PAYMENTS
    assert found.get("pending", 0) == 0
    assert await minor(live, bob) == 1_500 + AMOUNT_MINOR * found["completed"]
    assert await minor(live, ada) == 8_500 - AMOUNT_MINOR * found["completed"]

    again = await live.request("POST", refund, json={"amount": "15.01"})
    assert again[1]["reason"] == "limit_exceeded", again
    other = {**early, "amount": "21.00"}
    assert (await live.request("POST", "/v1/payments", json=other))[0] == 409
    assert (await pay(live, transfer(ada, bob, "5.00", hold_id=hold["hold_id"])))["status"] == "completed"
    await untouched(live)
    await live.document("replay", "projections")
    await well(live)
    await untouched(live)
    assert sum((await statuses(live, paid)).values()) == PAYMENTS


async def test_a_killed_refill_writes_nothing_and_the_next_one_writes_all_records(
    live: LiveSystem,
) -> None:
    await live.start_all(1)
    ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
    paid = await under_load(live, ada, bob)
    await all_end(live)
    await well(live)
    await lose(live)
    command = [sys.executable, "-m", "ledger_streams", "replay", "topics"]
    killed = Process("filling", command, live.environment(), live.settings.home / "filling.log")
    killed.start()

    async def is_writing() -> bool:
        return "payments are known" in killed.tail()

    await eventually(is_writing, what="the filling is under way", every_s=0.002)
    killed.kill()
    assert killed.exit_code == -signal.SIGKILL
    assert await read(live, topics.PAYMENTS_CHANGELOG) == []
    assert (await live.document("replay", "topics"))["payments"] == PAYMENTS + 1
    await live.start_all(1)
    assert (await pay(live, transfer(bob, ada, "1.00")))["status"] == "completed"
    await send(live, [record(requested(payment)) for payment in paid])
    await well(live)
    assert await minor(live, bob) == AMOUNT_MINOR * PAYMENTS - 100


async def test_a_refill_refuses_topics_with_records_and_running_systems(live: LiveSystem) -> None:
    await live.start_all(1)
    await open_wallet(live, funds="1.00")
    code, _, err = await live.command("replay", "topics")
    assert (code, "stop everything first" in err) == (1, True)
    for process in live.processes.values():
        process.stop()
    code, _, err = await live.command("replay", "topics")
    assert (code, "has records" in err) == (1, True)


async def test_the_remaining_wallet_records_are_kept_until_all_topics_are_refilled(
    live: LiveSystem,
) -> None:
    await live.start_all(1)
    ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
    assert (await pay(live, transfer(ada, bob, "20.00")))["status"] == "completed"
    await all_end(live)
    await lose(live, only=topics.WALLET_EVENTS)

    worker, projector = live.start("worker"), live.start("projector")
    assert worker.wait() == EXIT_SOFTWARE
    assert "has lost all records, its table has not" in worker.log.read_text()
    assert projector.wait() == EXIT_SOFTWARE
    assert "the projections belong to another log" in projector.log.read_text()
    await lose(live)

    async def the_worker_is_out() -> bool:
        return not await groups_with_members(live.settings.kafka, [live.settings.app_id])

    await eventually(the_worker_is_out, what="the session of the worker is over", seconds=60)
    await refill_and_go_on(live)
    assert (await minor(live, ada), await minor(live, bob)) == (8_000, 2_000)
