"""A batch on a live system: valid, invalid and repeated payments in one request."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams import topics
from tests.e2e.outside import balance, new_id, open_wallet, read, transfer
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")

BATCH = "/v1/payments/batch?wait=30"
GOOD = 100
NS = uuid5(NAMESPACE_URL, "ledger-streams")


async def sent(
    live: LiveSystem, payments: list[Any], *, key: str | None = None, worker_id: str = "1"
) -> list[Any]:
    """Send a batch and return its results."""
    headers = {} if key is None else {"Idempotency-Key": key}
    status, answer, _ = await live.request(
        "POST", BATCH, json={"payments": payments}, headers=headers, worker_id=worker_id
    )
    assert status == 200, answer
    results: list[Any] = answer["results"]
    return results


async def test_each_payment_of_a_batch_gets_the_response_of_a_single_one_and_a_repetition_changes_nothing(
    shared: LiveSystem,
) -> None:
    ada, bob, key = await open_wallet(shared, funds="100.00"), await open_wallet(shared), new_id()
    good = [transfer(ada, bob, "0.50") for _ in range(GOOD)]
    for place, payment in enumerate(good):
        payment["payment_id"] = str(uuid5(NS, f"anonymous:{key}:{place}"))
    for payment in good[::2]:
        del payment["payment_id"]
    lost = transfer(ada, new_id())
    del lost["payment_id"]
    others = [transfer(ada, bob, "1.001"), transfer(ada, bob), lost, "no payment"]
    results = await sent(shared, good + others, key=key)
    assert [result["status_code"] for result in results] == [200] * GOOD + [422, 422, 200, 422]
    bodies = [result["body"] for result in results]
    assert {body["status"] for body in bodies[:GOOD]} == {"completed"}
    steps = [step["event_type"] for step in bodies[0]["steps"]]
    assert (steps[0], steps[-1]) == ("PaymentRequested", "PaymentCompleted")
    assert bodies[GOOD]["field"] == f"payments[{GOOD}].amount"
    assert bodies[GOOD + 1]["field"] == f"payments[{GOOD + 1}].payment_id", "a key is one id"
    assert (bodies[GOOD + 2]["status"], bodies[GOOD + 2]["reason"]) == ("failed", "wallet_not_found")
    status, cached, _ = await shared.request("GET", f"/v1/wallets/{bob}/balance", worker_id="2")
    assert (status, cached["balances"][0]["balance"]) == (200, "50.00"), "what was waited for can be read"
    assert await balance(shared, ada) == "50.00"

    for worker_id in ("1", "2"):
        assert await sent(shared, good + others, key=key, worker_id=worker_id) == results
    requested = [
        kept
        for kept in await read(shared, topics.PAYMENT_EVENTS)
        if b'"PaymentRequested"' in kept.value and bob.encode() in kept.value and ada.encode() in kept.value
    ]
    assert len(requested) == GOOD
    named = good[1]
    again, other = await sent(shared, [named | {"amount": "0.5"}, named | {"amount": "0.51"}])
    assert again == results[1]
    assert (other["status_code"], other["body"]["reason"]) == (409, "duplicate_mismatch")
    assert await balance(shared, bob) == "50.00"


async def test_a_batch_of_a_thousand_payments_is_accepted(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="10.00"), await open_wallet(shared)
    payments = [transfer(ada, bob, "0.01") for _ in range(1000)]
    results = await sent(shared, payments)
    assert {(result["status_code"], result["body"]["status"]) for result in results} == {(200, "completed")}
    assert (await balance(shared, ada), await balance(shared, bob)) == ("0.00", "10.00")


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
