"""Transfers with a refused credit: the payer gets the money back, and the books reconcile."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams import topics
from tests.e2e.outside import (
    balance,
    command,
    ended,
    events,
    new_id,
    now_text,
    open_wallet,
    pay,
    record,
    requested,
    send,
    transfer,
)
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENED_AND_FUNDED = 2
"""The version of a wallet after its opening and its first deposit."""

SAGA = [
    "SagaStarted",
    "WalletDeducted",
    "WalletCreditRefused",
    "WalletCredited",
    "SagaCompensated",
    "SagaFailed",
]


async def check_given_back(live: LiveSystem, data: dict[str, Any], reason: str) -> None:
    """Check topics and postings of a compensated transfer."""
    payment_id, payer = data["payment_id"], data["source_wallet_id"]
    saga = await events(live, topics.SAGA_EVENTS, payment_id)
    assert [event["event_type"] for event in saga] == SAGA
    assert [event["event_version"] for event in saga] == [1, 2, 3, 4, 5, 6]
    moved = [event["data"] for event in saga[1:4]]
    assert [event["wallet_id"] for event in moved] == [payer, data["target_wallet_id"], payer]
    assert {(event["amount"], event["currency"]) for event in moved} == {(data["amount"], "EUR")}
    assert (saga[2]["data"]["reason"], saga[-1]["data"]["reason"]) == (reason, reason)

    own = [
        event
        for event in await events(live, topics.WALLET_EVENTS, payer)
        if event["data"]["payment_id"] == payment_id
    ]
    assert [event["event_type"] for event in own] == ["BalanceDeducted", "BalanceAdded"]
    _, failed = await events(live, topics.PAYMENT_EVENTS, payment_id)
    assert (failed["event_type"], failed["data"]["reason"]) == ("PaymentFailed", reason)
    assert failed["data"]["wallets"] == {payer: own[-1]["event_version"]}

    legs = await live.rows(
        "SELECT account, sum(amount_minor)::bigint AS sum, count(*) AS n FROM postings"
        " WHERE payment_id = $1 GROUP BY account",
        payment_id,
    )
    assert {leg["account"]: (leg["sum"], leg["n"]) for leg in legs} == {
        f"wallet:{payer}": (0, 2),
        "transit:EUR": (0, 2),
    }


@pytest.mark.parametrize("payee", ["missing", "closed", "without the currency"])
async def test_the_payer_gets_the_money_back_when_the_payee_is(shared: LiveSystem, payee: str) -> None:
    payer = await open_wallet(shared, funds="20.00")
    target, reason = new_id(), "wallet_not_found"
    if payee == "closed":
        target, reason = await open_wallet(shared), "wallet_closed"
        await command(shared, target, "close")
    elif payee == "without the currency":
        target, reason = await open_wallet(shared, currencies=["USD", "JPY"]), "currency_mismatch"
    data = transfer(payer, target, "20.00")

    payment = await pay(shared, data)
    assert (payment["status"], payment["reason"]) == ("failed", reason)
    assert [step["event_type"] for step in payment["steps"]] == ["PaymentRequested", *SAGA, "PaymentFailed"]
    await check_given_back(shared, data, reason)
    assert await balance(shared, payer) == "20.00"
    status, cached, _ = await shared.request("GET", f"/v1/wallets/{payer}/balance")
    assert (status, cached["balances"][0]["balance"], cached["version"]) == (200, "20.00", 4)
    assert (await pay(shared, transfer(payer, await open_wallet(shared), "20.00")))["status"] == "completed"


async def tell(live: LiveSystem, producer: AIOKafkaProducer, wallet_id: str, name: str) -> None:
    """Append an administrative command, without waiting for what comes of it."""
    envelope = {
        "event_id": new_id(),
        "event_type": name,
        "aggregate_id": wallet_id,
        "event_version": 1,
        "occurred_at": now_text(),
        "correlation_id": wallet_id,
        "causation_id": None,
        "data": {"wallet_id": wallet_id, "reason": "in the middle of it"},
    }
    topic = live.settings.topic(topics.WALLET_COMMANDS)
    await producer.send_and_wait(topic, msgspec.json.encode(envelope), key=wallet_id.encode())


async def version(live: LiveSystem, wallet_id: str) -> int:
    """Return the wallet's version as HTTP has it."""
    status, wallet, _ = await live.request("GET", f"/v1/wallets/{wallet_id}")
    assert status == 200, wallet
    number: int = wallet["version"]
    return number


async def straddling(live: LiveSystem, wallet_id: str, event_type: str) -> list[str]:
    """Return the payments that took money from the wallet before this event and gave it back after it."""
    own = await events(live, topics.WALLET_EVENTS, wallet_id)
    at = min((event["event_version"] for event in own if event["event_type"] == event_type), default=0)
    taken, given = (
        {event["data"]["payment_id"]: event["event_version"] for event in own if event["event_type"] == kind}
        for kind in ("BalanceDeducted", "BalanceAdded")
    )
    return [payment_id for payment_id in taken if taken[payment_id] < at < given.get(payment_id, 0)]


async def frozen_in_the_middle(live: LiveSystem, producer: AIOKafkaProducer) -> list[dict[str, Any]]:
    """Freeze a payer while it pays, check that it has all its money; return the payments under way then."""
    payer, nowhere = await open_wallet(live, funds="10000.00"), new_id()
    payments, topic = [], live.settings.topic(topics.PAYMENT_EVENTS)

    async def send_some() -> None:
        for _ in range(20):
            payments.append(transfer(payer, nowhere))
            key, value = record(requested(payments[-1]))
            await producer.send_and_wait(topic, value, key=key)

    while await version(live, payer) == OPENED_AND_FUNDED:
        await send_some()
    await tell(live, producer, payer, "FreezeWallet")
    await send_some()
    reasons = [(await ended(live, data["payment_id"]))["reason"] for data in payments]
    assert set(reasons) <= {"wallet_not_found", "wallet_frozen"}
    assert await balance(live, payer) == "10000.00"
    straddled = await straddling(live, payer, "WalletFrozen")
    return [data for data in payments if data["payment_id"] in straddled]


async def test_a_payer_frozen_during_the_transfer_gets_the_money_back_too(shared: LiveSystem) -> None:
    async with AIOKafkaProducer(bootstrap_servers=shared.settings.kafka) as producer:
        for _ in range(10):  # the wallet is frozen between two steps of a payment, or not
            if straddled := await frozen_in_the_middle(shared, producer):
                break
        else:
            raise AssertionError("no payment was under way when the wallet was frozen")
    for data in straddled:
        await check_given_back(shared, data, "wallet_not_found")


async def test_money_returned_to_a_wallet_closed_during_the_transfer_can_be_moved(
    shared: LiveSystem,
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=shared.settings.kafka) as producer:
        for _ in range(10):  # a wallet can be closed only in the 30 ms or so in which it is empty
            payer = await open_wallet(shared, funds="1.00")
            data = transfer(payer, new_id())
            await send(shared, [record(requested(data))])
            ending = asyncio.create_task(ended(shared, data["payment_id"]))
            while not ending.done():
                await tell(shared, producer, payer, "CloseWallet")
            assert (await ending)["reason"] == "wallet_not_found"
            await check_given_back(shared, data, "wallet_not_found")
            assert await balance(shared, payer) == "1.00"
            if await straddling(shared, payer, "WalletClosed"):
                break
        else:
            raise AssertionError("no payment was under way when its wallet was closed")
    status, wallet, _ = await shared.request("GET", f"/v1/wallets/{payer}")
    assert (status, wallet["status"]) == (200, "closed")
    await check_the_way_out(shared, payer)


async def check_the_way_out(live: LiveSystem, wallet_id: str) -> None:
    """Let two people reopen the closed wallet with money, move the money, and close the wallet again."""
    worker = ("--url", f"http://127.0.0.1:{live.ports['worker-1']}")
    other = await open_wallet(live)
    stuck = await pay(live, transfer(wallet_id, other, "1.00"))
    assert (stuck["status"], stuck["reason"]) == ("failed", "wallet_closed")

    reopen = ("wallets", "reopen", wallet_id, *worker, "--by")
    proposed = await live.document(*reopen, "Ada", "--reason", "1.00 EUR came back")
    assert proposed["event_type"] == "WalletReopeningProposed"
    code, _, error = await live.command(*reopen, "ada", "--approve")
    assert (code, "may not approve" in error) == (1, True)
    reopened = await live.document(*reopen, "Bob", "--approve")
    assert reopened["data"] == {
        "payment_id": None,
        "reason": "1.00 EUR came back",
        "proposed_by": "Ada",
        "approved_by": "Bob",
    }
    assert (await pay(live, transfer(wallet_id, other, "1.00")))["status"] == "completed"
    await command(live, wallet_id, "close")
    assert (await balance(live, wallet_id), await balance(live, other)) == ("0.00", "1.00")


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
