"""The tour: one payment from HTTP through every topic and store, and back to HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams import topics
from tests.live import LiveSystem


async def test_follow_one_payment(live: LiveSystem, new_id: Callable[[], str]) -> None:
    ada, bob, payment_id = new_id(), new_id(), new_id()
    await live.start_all()

    # Ada and Bob open wallets; Ada is paid 100.00 from the outside world.
    await open_wallet(live, ada)
    await open_wallet(live, bob)
    await pay(live, {"kind": "deposit", "target_wallet_id": ada, "amount": "100.00", "currency": "EUR"})

    # Ada sends Bob 10.25 and waits for the end of it.
    transfer = {
        "payment_id": payment_id,
        "kind": "transfer",
        "source_wallet_id": ada,
        "target_wallet_id": bob,
        "amount": "10.25",
        "currency": "EUR",
    }
    payment = await pay(live, transfer)
    assert payment["status"] == "completed"

    # The request is on payment-events, and so is its outcome, with the wallets' versions.
    requested, completed = await records(live, topics.PAYMENT_EVENTS, payment_id)
    assert [requested["event_type"], completed["event_type"]] == ["PaymentRequested", "PaymentCompleted"]
    assert completed["data"]["wallets"] == {ada: 3, bob: 2}

    # Its saga deducted, credited and completed, in this order.
    saga = await records(live, topics.SAGA_EVENTS, payment_id)
    assert [event["event_type"] for event in saga] == [
        "SagaStarted",
        "WalletDeducted",
        "WalletCredited",
        "SagaCompleted",
    ]
    assert [event["event_version"] for event in saga] == [1, 2, 3, 4]

    # Each wallet wrote its events, without a gap, with the state after them.
    adas = await records(live, topics.WALLET_EVENTS, ada)
    assert [event["event_type"] for event in adas] == ["WalletOpened", "BalanceAdded", "BalanceDeducted"]
    assert [event["event_version"] for event in adas] == [1, 2, 3]
    assert adas[-1]["wallet"]["balances"]["EUR"]["balance"] == "89.75"

    # PostgreSQL has every event, and postings that sum to zero.
    await check_postgres(live, payment_id)

    # And HTTP answers with what happened, from the cache.
    status, balance, headers = await live.request("GET", f"/v1/wallets/{bob}/balance")
    assert (status, headers["X-Cache"]) == (200, "hit")
    assert balance["balances"] == [
        {"currency": "EUR", "available": "10.25", "held": "0.00", "balance": "10.25"}
    ]
    status, answer, _ = await live.request("GET", f"/v1/payments/{payment_id}")
    assert status == 200
    assert [step["event_type"] for step in answer["steps"]][-1] == "PaymentCompleted"


async def open_wallet(live: LiveSystem, wallet_id: str) -> None:
    body = {"wallet_id": wallet_id, "user_id": wallet_id, "currencies": ["EUR"]}
    status, wallet, _ = await live.request("POST", "/v1/wallets", json=body)
    assert status == 201, wallet
    assert wallet["balances"]["EUR"]["balance"] == "0.00"


async def pay(live: LiveSystem, data: dict[str, Any]) -> dict[str, Any]:
    status, payment, _ = await live.request("POST", "/v1/payments?wait=20", json=data)
    assert status == 200, payment
    answer: dict[str, Any] = payment
    return answer


async def records(live: LiveSystem, topic: str, key: str) -> list[dict[str, Any]]:
    """Return the committed records of one key, in order."""
    name = live.settings.topic(topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=live.settings.kafka, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(name, number) for number in range(topics.spec(topic).partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for polled in (await consumer.getmany(timeout_ms=200)).values():
                found += [msgspec.json.decode(r.value) for r in polled if r.key == key.encode()]
        return found
    finally:
        await consumer.stop()


async def check_postgres(live: LiveSystem, payment_id: str) -> None:
    connection = await asyncpg.connect(live.settings.postgres)
    try:
        types = await connection.fetch(
            "SELECT event_type FROM events WHERE aggregate_id = $1 ORDER BY topic, event_version", payment_id
        )
        assert len(types) == 6
        legs = await connection.fetch(
            "SELECT account, amount_minor FROM postings WHERE payment_id = $1", payment_id
        )
        assert len(legs) == 4
        assert sum(leg["amount_minor"] for leg in legs) == 0
        assert sum(leg["amount_minor"] for leg in legs if leg["account"] == "transit:EUR") == 0
    finally:
        await connection.close()
