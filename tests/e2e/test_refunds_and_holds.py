"""Refunds and callers' holds on a live system: neither exceeds the paid or held amount."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from ledger_streams import topics
from tests.e2e.outside import balance, ended, events, new_id, open_wallet, pay, transfer
from tests.live import LiveSystem, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUNDS = 200


async def refunded(live: LiveSystem, payment_id: str, **body: str) -> dict[str, Any]:
    """Ask for a refund and return it when it has ended."""
    path = f"/v1/payments/{payment_id}/refund?wait=20"
    status, refund, _ = await live.request("POST", path, json=body)
    assert status == 200, refund
    answer: dict[str, Any] = refund
    return answer


async def shows(live: LiveSystem, payment_id: str, *, status: str, amount: str) -> None:
    """Wait until the payment says that so much of it has gone back."""

    async def does() -> bool:
        payment = await ended(live, payment_id)
        return bool((payment["status"], payment["refunded"]) == (status, amount))

    await eventually(does, what=f"{payment_id} is {status} with {amount}")


async def available(live: LiveSystem, wallet_id: str) -> tuple[str, str]:
    """Return what is available and what is held, in EUR."""
    _, wallet, _ = await live.request("GET", f"/v1/wallets/{wallet_id}")
    euros = wallet["balances"]["EUR"]
    return euros["available"], euros["held"]


async def held(live: LiveSystem, wallet_id: str, amount: str, **fields: Any) -> dict[str, Any]:
    """Hold money for a caller and return the hold."""
    body = {"amount": amount, "currency": "EUR"} | fields
    status, hold, _ = await live.request("POST", f"/v1/wallets/{wallet_id}/holds", json=body)
    assert status == 201, hold
    answer: dict[str, Any] = hold
    return answer


async def test_a_transfer_is_refunded_in_parts_and_never_beyond_its_amount(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="100.00"), await open_wallet(shared)
    payment_id = (await pay(shared, transfer(ada, bob, "10.00")))["payment_id"]
    first = await refunded(shared, payment_id, amount="4.25")
    assert (first["kind"], first["status"], first["amount"]) == ("refund", "completed", "4.25")
    assert (first["source_wallet_id"], first["target_wallet_id"]) == (bob, ada)
    assert first["waiting_for"] is None
    await shows(shared, payment_id, status="partially_refunded", amount="4.25")
    beyond = await refunded(shared, payment_id, amount="5.76")
    assert (beyond["status"], beyond["reason"]) == ("failed", "limit_exceeded")
    rest = await refunded(shared, payment_id)
    assert (rest["status"], rest["amount"]) == ("completed", "5.75")
    await shows(shared, payment_id, status="refunded", amount="10.00")
    nothing_left = await refunded(shared, payment_id)
    assert (nothing_left["status"], nothing_left["reason"]) == ("failed", "limit_exceeded")
    assert (await balance(shared, ada), await balance(shared, bob)) == ("100.00", "0.00")
    outcomes = await events(shared, topics.PAYMENT_EVENTS, payment_id)
    assert [event["event_type"] for event in outcomes][2:] == ["PaymentRefunded"] * 2


async def test_payments_are_listed_with_their_content_and_failed_refunds_with_the_reason(
    shared: LiveSystem,
) -> None:
    ada, bob, user_id = await open_wallet(shared, funds="100.00"), await open_wallet(shared), new_id()
    hold_id = (await held(shared, ada, "5.00"))["hold_id"]
    about = {"hold_id": hold_id, "user_id": user_id, "metadata": {"order": 17, "rate": 0.1}}
    paid = await pay(shared, transfer(ada, bob, "5.00", **about))
    assert {name: paid[name] for name in about} == about
    assert paid["requested_at"] < paid["ended_at"]
    beyond = await refunded(shared, paid["payment_id"], amount="5.01")
    assert (beyond["status"], beyond["refund_of"]) == ("failed", paid["payment_id"])
    assert (beyond["reason"], beyond["detail"]) == (
        "limit_exceeded",
        "data.amount: 5.00 EUR of the payment are left",
    )
    back = await refunded(shared, paid["payment_id"], amount="1.00")
    again = await refunded(shared, beyond["payment_id"])
    assert (again["reason"], again["detail"]) == ("invalid", "data.refund_of: is a refund itself")
    await shows(shared, paid["payment_id"], status="partially_refunded", amount="1.00")

    async def listed(**asked: str) -> list[str]:
        found: list[str] = []
        while True:
            _, page, _ = await shared.request("GET", "/v1/payments", params=asked | {"limit": "1"})
            found += [payment["payment_id"] for payment in page["payments"]]
            if page["next"] is None:
                return found
            asked = asked | {"after": page["next"]}

    assert await listed(user_id=user_id) == [paid["payment_id"]]
    assert (await listed(wallet_id=bob))[:2] == [back["payment_id"], paid["payment_id"]]
    assert await listed(wallet_id=bob, status="partially_refunded") == [paid["payment_id"]]
    after_it = await listed(**{"status": "failed", "from": beyond["requested_at"]})
    assert after_it == [again["payment_id"], beyond["payment_id"]]
    _, page, _ = await shared.request("GET", "/v1/payments", params={"wallet_id": bob})
    _, alone, _ = await shared.request("GET", f"/v1/payments/{back['payment_id']}")
    assert page["payments"][0] == {name: alone[name] for name in page["payments"][0]}


async def test_a_refund_repeated_under_its_key_is_one(shared: LiveSystem) -> None:
    bob = await open_wallet(shared)
    deposit = {"kind": "deposit", "target_wallet_id": bob, "amount": "10.00", "currency": "EUR"}
    payment_id = (await pay(shared, deposit))["payment_id"]
    path, headers = f"/v1/payments/{payment_id}/refund?wait=20", {"Idempotency-Key": new_id()}
    answers = [
        await shared.request("POST", path, json={"amount": "3"}, headers=headers, worker_id=worker_id)
        for worker_id in ("1", "2", "1")
    ]
    assert {answer[0] for answer in answers} == {200}
    assert len({answer[1]["payment_id"] for answer in answers}) == 1
    status, problem, _ = await shared.request("POST", path, json={"amount": "4"}, headers=headers)
    assert (status, problem["reason"]) == (409, "duplicate_mismatch")
    assert await balance(shared, bob) == "7.00"


async def test_two_hundred_simultaneous_refunds_never_exceed_the_paid_amount(
    shared: LiveSystem,
) -> None:
    ada, bob = await open_wallet(shared, funds="100.00"), await open_wallet(shared, funds="500.00")
    payment_id = (await pay(shared, transfer(ada, bob, "50.00")))["payment_id"]
    path = f"/v1/payments/{payment_id}/refund?wait=30"
    answers = await asyncio.gather(
        *(
            shared.request(
                "POST",
                path,
                json={"amount": "1.50"},
                headers={"Idempotency-Key": f"{payment_id} {number % 180}"},  # twenty are asked for twice
                worker_id="12"[number % 2],
            )
            for number in range(REFUNDS)
        )
    )
    assert {status for status, _, _ in answers} == {200}
    refunds = {refund["payment_id"]: refund for _, refund, _ in answers}
    assert len(refunds) == 180
    ends = Counter((refund["status"], refund["reason"]) for refund in refunds.values())
    assert ends == {("completed", None): 33, ("failed", "limit_exceeded"): 147}
    assert (await balance(shared, ada), await balance(shared, bob)) == ("99.50", "500.50")
    await shows(shared, payment_id, status="partially_refunded", amount="49.50")
    rest = await refunded(shared, payment_id)
    assert (rest["status"], rest["amount"]) == ("completed", "0.50")
    await shows(shared, payment_id, status="refunded", amount="50.00")
    outcomes = await events(shared, topics.PAYMENT_EVENTS, payment_id)
    assert [event["event_type"] for event in outcomes].count("PaymentRefunded") == 34


async def test_a_refund_the_payee_cannot_pay_fails_and_can_be_requested_later(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="10.00"), await open_wallet(shared)
    payment_id = (await pay(shared, transfer(ada, bob, "10.00")))["payment_id"]
    spent = await pay(shared, transfer(bob, ada, "8.00"))
    assert (await refunded(shared, payment_id))["reason"] == "insufficient_funds"
    assert (await refunded(shared, spent["payment_id"]))["status"] == "completed"

    async def goes_back() -> bool:
        return bool((await refunded(shared, payment_id))["status"] == "completed")

    await eventually(goes_back, what="what was set aside for the first refund is free again")
    assert (await balance(shared, ada), await balance(shared, bob)) == ("10.00", "0.00")


async def test_a_hold_is_taken_in_part_by_a_payment_and_the_rest_released(shared: LiveSystem) -> None:
    ada, bob = await open_wallet(shared, funds="10.00"), await open_wallet(shared)
    hold = await held(shared, ada, "6.00")
    path, hold_id = f"/v1/wallets/{ada}/holds", hold["hold_id"]
    assert await available(shared, ada) == ("4.00", "6.00")
    assert (await pay(shared, transfer(ada, bob, "5.00")))["reason"] == "insufficient_funds"
    assert (await pay(shared, transfer(ada, bob, "5.00", hold_id=hold_id)))["status"] == "completed"
    assert (await pay(shared, transfer(ada, bob, "1.01", hold_id=hold_id)))["reason"] == "insufficient_funds"
    assert await available(shared, ada) == ("4.00", "1.00")
    _, listed, _ = await shared.request("GET", path)
    assert listed["holds"] == [hold | {"amount": "1.00"}]
    status, problem, _ = await shared.request("POST", f"/v1/wallets/{ada}/close", json={"reason": "a test"})
    assert (status, problem["reason"]) == (409, "not_empty")
    for worker_id in ("1", "2"):
        status, released, _ = await shared.request("POST", f"{path}/{hold_id}/release", worker_id=worker_id)
        assert (status, released) == (200, hold | {"amount": "0.00"})
    assert await available(shared, ada) == ("5.00", "0.00")
    again = {"hold_id": hold_id, "amount": "6.00", "currency": "EUR"}
    status, answer, _ = await shared.request("POST", path, json=again)
    assert (status, answer["amount"]) == (200, "0.00"), "a hold is made once"
    assert await balance(shared, bob) == "5.00"


async def test_an_expired_hold_is_released_automatically(shared: LiveSystem) -> None:
    ada = await open_wallet(shared, funds="10.00")
    hold = await held(shared, ada, "6.00", expires_in_s=1)
    assert hold["expires_at"] is not None

    async def is_free() -> bool:
        return await available(shared, ada) == ("10.00", "0.00")

    await eventually(is_free, what="the hold has expired")


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
