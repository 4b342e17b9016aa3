"""Graceful shutdown: callers get an answer, accepted payments end, and other workers continue."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.e2e.outside import balance, ended, new_id, open_wallet, read
from tests.live import LiveSystem, eventually, running

CALLERS = 20


def deposit(wallet_id: str) -> dict[str, Any]:
    money = {"amount": "1.00", "currency": "EUR"}
    return {"payment_id": new_id(), "kind": "deposit", "target_wallet_id": wallet_id, **money}


class Caller:
    """Pays one euro after the other, through worker 1 until an answer says to go elsewhere."""

    def __init__(self, live: LiveSystem, wallet_id: str) -> None:
        self._live = live
        self._wallet_id = wallet_id
        self._worker_id = "1"
        self.statuses: list[int] = []
        self.ended: list[str] = []

    async def run(self, enough: Callable[[], bool]) -> None:
        async with aiohttp.ClientSession() as session:
            while not enough():
                url = f"http://127.0.0.1:{self._live.ports[f'worker-{self._worker_id}']}/v1/payments?wait=20"
                data = deposit(self._wallet_id)
                async with session.post(url, json=data) as answer:
                    body = await answer.json()
                self.statuses.append(answer.status)
                self.ended.append(body["payment_id"])
                if answer.headers.get("Connection") == "close":
                    self._worker_id = "2"

    @property
    def has_gone(self) -> bool:
        return self._worker_id == "2"


async def test_a_stopping_worker_hands_over_without_an_error_to_callers(migrated: Settings) -> None:
    async with running(migrated.model_copy(update={"drain_s": 1.0}), workers=2) as live:
        wallet = await open_wallet(live)
        callers = [Caller(live, wallet) for _ in range(CALLERS)]
        stopping, stopped = live.processes["worker-1"], asyncio.Event()
        calling = asyncio.gather(*(caller.run(stopped.is_set) for caller in callers))

        async def all_have_paid() -> bool:
            return all(len(caller.ended) > 2 for caller in callers)

        await eventually(all_have_paid, what="every caller has paid a few times")
        stopping.signal(signal.SIGTERM)
        assert await asyncio.to_thread(stopping.wait) == 0, stopping.tail()
        assert all(caller.has_gone for caller in callers)
        stopped.set()
        await calling
        assert {status for caller in callers for status in caller.statuses} <= {200, 202}
        paid = [payment_id for caller in callers for payment_id in caller.ended]
        for payment_id in paid:
            assert (await ended(live, payment_id, worker_id="2"))["status"] == "completed"
        assert await balance(live, wallet, worker_id="2") == f"{len(paid)}.00"


async def test_a_caller_waiting_at_a_stopping_worker_gets_the_pending_payment(
    live: LiveSystem,
) -> None:
    await live.start_all()
    wallet = await open_wallet(live)
    live.processes["projector-1"].kill()  # without it no wait has an end
    waiting = asyncio.create_task(
        live.request("POST", "/v1/payments?wait=30", json=deposit(wallet) | {"metadata": {"n": "waits"}})
    )

    async def is_taken() -> bool:
        return any(b"waits" in kept.value for kept in await read(live, topics.SAGA_EVENTS))

    await eventually(is_taken, what="the payment is taken")
    live.processes["worker-1"].signal(signal.SIGTERM)
    status, answer, headers = await waiting
    assert (status, answer["status"], headers["Connection"]) == (202, "pending", "close")
    assert await asyncio.to_thread(live.processes["worker-1"].wait) == 0


@pytest.mark.slow
async def test_a_separate_api_process_answers_with_and_without_workers(live: LiveSystem) -> None:
    await live.start_all()
    live.start("api")
    await live.ready(command="api")
    wallet = await open_wallet(live)
    payment = deposit(wallet)
    status, answer, _ = await live.request("POST", "/v1/payments?wait=20", command="api", json=payment)
    assert (status, answer["status"]) == (200, "completed")
    live.processes["worker-1"].kill()
    later = deposit(wallet)
    status, answer, _ = await live.request("POST", "/v1/payments", command="api", json=later)
    assert (status, answer["status"]) == (202, "pending")
    path = f"/v1/wallets/{wallet}/balance"
    status, answer, _ = await live.request("GET", path, command="api")
    assert (status, answer["balances"][0]["balance"]) == (200, "1.00")
    live.start("worker")
    await live.ready()
    assert (await ended(live, later["payment_id"]))["status"] == "completed"
    assert await balance(live, wallet) == "2.00"
