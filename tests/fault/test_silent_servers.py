"""Servers that neither answer nor close connections: every request is answered in bounded time.

All of a system's processes are cut off at once, with connections open that they would use
next.  The test prints the duration of each call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from ledger_streams.settings import Settings
from tests.e2e.outside import new_id, open_wallet, pay
from tests.fault.testbed import CONNECTED, Testbed, open_testbed

AT_ONCE: Final = 30
"""Three times the connections that a worker has: each of them is open and idle before the cut."""
BUSY_S: Final = 4.0
"""A margin for a machine with other work."""

WAIT_S: Final = 2.0
WRITE_THROUGH_S: Final = 1.0
"""The cache's part of the time until a call with `wait` is answered."""

Call = tuple[str, str, dict[str, Any] | None]
"""Method, path, body."""


class Answer(NamedTuple):
    """The response to a call, and its duration."""

    call: str
    status: int
    seconds: float


@pytest.fixture
async def testbed(servers: Settings, tmp_path: Path) -> AsyncIterator[Testbed]:
    async with open_testbed(servers, tmp_path) as testbed:
        yield testbed


def calls(wallet: str) -> list[Call]:
    """Return calls of every kind."""
    hold = {"amount": "1", "currency": "EUR", "expires_in_s": 600}
    return [
        ("GET", "/health/live", None),
        ("GET", "/health/ready", None),
        ("GET", f"/v1/wallets/{wallet}/balance", None),
        ("GET", f"/v1/wallets/{wallet}", None),
        ("GET", f"/v1/wallets/{wallet}/events", None),
        ("GET", f"/v1/users/{wallet}/wallets", None),
        ("GET", f"/v1/payments/{new_id()}", None),
        ("POST", "/v1/payments", deposit(wallet)),
        ("POST", "/v1/payments", deposit(wallet) | {"payment_id": new_id()}),
        ("POST", "/v1/payments?wait=2", deposit(wallet)),
        ("POST", "/v1/payments/batch?wait=2", {"payments": [deposit(wallet) for _ in range(10)]}),
        ("POST", "/v1/wallets", {"user_id": new_id(), "currencies": ["EUR"]}),
        ("POST", f"/v1/wallets/{wallet}/holds", hold),
        ("PUT", f"/v1/wallets/{wallet}/limits", {"overdraft_limits": {"EUR": "5"}}),
    ]


def deposit(wallet: str) -> dict[str, Any]:
    return {"kind": "deposit", "target_wallet_id": wallet, "amount": "1", "currency": "EUR"}


async def answer(testbed: Testbed, call: Call) -> Answer:
    method, path, body = call
    began_s = time.monotonic()
    status, _, _ = await testbed.live.request(method, path, json=body)
    return Answer(f"{method} {path}", status, time.monotonic() - began_s)


async def answers(testbed: Testbed, calls: list[Call]) -> dict[str, list[Answer]]:
    """Make each call twice, all at once, and print the slower one of each."""
    found: dict[str, list[Answer]] = {}
    for one in await asyncio.gather(*(answer(testbed, call) for call in calls * 2)):
        found.setdefault(one.call, []).append(one)
    slowest = [max(of_call, key=lambda one: one.seconds) for of_call in found.values()]
    print("\n".join(f"{one.seconds:6.1f} s  {one.status}  {one.call}" for one in slowest))
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("server", "answer_s_max", "statuses"),
    [
        # a connection is waited for, then the answer, 5 s in all; giving the connection back may take as long
        ("postgres", 10.0, {200, 202, 503}),
        # 1 s each time that Redis is asked; what changes a wallet waits for it to be projected besides
        ("redis", 10.0, {200, 201, 202, 404, 409}),
        # a record without acknowledgement after 30 s is given up
        ("kafka", 30.0, {200, 201, 202, 404, 503}),
    ],
    ids=["postgres", "redis", "kafka"],
)
async def test_every_request_is_answered_while_a_server_is_silent(
    testbed: Testbed, server: str, answer_s_max: float, statuses: set[int]
) -> None:
    wallet = await open_wallet(testbed.live, funds="500.00")
    balance = f"/v1/wallets/{wallet}/balance"
    await asyncio.gather(*(answer(testbed, ("GET", f"/v1/wallets/{wallet}", None)) for _ in range(AT_ONCE)))
    async with testbed.network.silent(server, *CONNECTED):
        print(f"\nwithout {server}")
        found = await answers(testbed, calls(wallet))
    assert {one.status for of_call in found.values() for one in of_call} <= statuses, found
    assert max(one.seconds for of_call in found.values() for one in of_call) < answer_s_max + BUSY_S
    waited = [one for of_call in found.values() for one in of_call if "wait=2" in one.call]
    assert max(one.seconds for one in waited) < WAIT_S + WRITE_THROUGH_S + BUSY_S, waited
    assert {one.status for one in found["GET /health/live"] + found[f"GET {balance}"]} == {200}


@pytest.mark.timeout(600)
async def test_payments_go_on_and_are_seen_while_redis_is_silent(testbed: Testbed) -> None:
    wallet = await open_wallet(testbed.live, funds="500.00")
    async with testbed.network.silent("redis", *CONNECTED):
        assert (await pay(testbed.live, deposit(wallet)))["status"] == "completed"
        status, shown, headers = await testbed.live.request("GET", f"/v1/wallets/{wallet}/balance")
        assert (status, shown["balances"][0]["balance"], headers["X-Cache"]) == (200, "501.00", "miss")
    await testbed.live.document("reconcile", "--wait", "60")
