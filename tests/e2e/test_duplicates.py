"""Repeated payments: the same content is one payment, other content under its id is parked."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from ledger_streams import topics
from tests.e2e.outside import (
    KeyValue,
    balance,
    carried_out_so_far,
    ended,
    events,
    new_id,
    now_text,
    open_wallet,
    pay,
    read,
    record,
    requested,
    send,
    transfer,
)
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")

POST = "/v1/payments"


async def two_wallets(live: LiveSystem) -> tuple[str, str]:
    return await open_wallet(live, funds="100.00"), await open_wallet(live)


def written_differently(data: dict[str, Any]) -> list[KeyValue]:
    """The transfer of 10.50 as others would write it; `data` says "10.5" and has a note in its metadata."""
    wordy = {"amount": "10.50", "provider": None, "user_id": None, "note": None}
    turned = dict(reversed((data | wordy).items()))
    envelope = requested(turned, schema_version=1, event_version=1, causation_id=None)
    escaped = msgspec.json.encode(requested(data)).replace("ü".encode(), b"\\u00fc")
    spaced = msgspec.json.format(msgspec.json.encode(requested(data)), indent=4)
    key = data["payment_id"].encode()
    return [record(requested(data)), record(envelope), (key, escaped), (key, spaced)]


async def test_the_same_content_is_one_payment_however_it_is_written(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    data = transfer(ada, bob, "10.5", metadata={"note": "für Bücher", "tags": [1, 2]})
    await send(shared, written_differently(data) * 5)
    payment = await ended(shared, data["payment_id"])
    await send(shared, written_differently(data))
    await carried_out_so_far(shared, data["payment_id"])
    assert (payment["status"], payment["amount"]) == ("completed", "10.50")
    assert (await balance(shared, ada), await balance(shared, bob)) == ("89.50", "10.50")
    saga = [event["event_type"] for event in await events(shared, topics.SAGA_EVENTS, data["payment_id"])]
    assert saga == ["SagaStarted", "WalletDeducted", "WalletCredited", "SagaCompleted"]
    outcomes = await events(shared, topics.PAYMENT_EVENTS, data["payment_id"])
    assert [event["event_type"] for event in outcomes if event["event_type"] != "PaymentRequested"] == [
        "PaymentCompleted"
    ]
    assert await letters(shared, data) == []
    assert await ended(shared, data["payment_id"]) == payment


async def test_other_content_is_parked_and_the_first_payment_is_unchanged(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    data = transfer(ada, bob, "10.00")
    others = [
        data | {"amount": "10.01"},
        data | {"currency": "USD"},
        data | {"target_wallet_id": await open_wallet(shared)},
        data | {"metadata": {"note": "another"}},
        data | {"user_id": new_id()},
    ]
    at_once, later = ([record(requested(other)) for other in others] for _ in range(2))
    await send(shared, [record(requested(data)), *at_once])
    payment = await ended(shared, data["payment_id"])
    await send(shared, later)
    await carried_out_so_far(shared, data["payment_id"])
    assert (payment["status"], payment["amount"], payment["currency"]) == ("completed", "10.00", "EUR")
    assert await balance(shared, bob) == "10.00"
    assert await ended(shared, data["payment_id"]) == payment
    parked = await letters(shared, data)
    assert [(letter.key, letter.value) for letter in parked] == at_once + later
    assert {dict(letter.headers)["dlq.reason"] for letter in parked} == {b"duplicate_mismatch"}
    outcomes = await events(shared, topics.PAYMENT_EVENTS, data["payment_id"])
    assert [event["event_type"] for event in outcomes].count("PaymentFailed") == 0


async def test_a_minimal_record_is_accepted_and_unknown_fields_are_kept(
    shared: LiveSystem,
) -> None:
    ada, bob = await two_wallets(shared)
    data = transfer(ada, bob)
    text = msgspec.json.encode(requested(data | {"rate": 0, "channel": {"app": ["ios", None]}}, trace="abc"))
    text = text.replace(b'"rate":0', b'"rate":1.1000,"serial":98765432109876543210')
    await send(shared, [(data["payment_id"].encode(), text)])
    assert (await ended(shared, data["payment_id"]))["status"] == "completed"
    kept = await shared.rows(
        "SELECT event_type, event_version, correlation_id::text, causation_id, event_data->>'rate' AS rate,"
        " event_data->>'serial' AS serial, event_data->'channel'->>'app' AS app"
        " FROM events WHERE aggregate_id = $1 AND event_data ? 'channel' ORDER BY event_type",
        data["payment_id"],
    )
    assert [row["event_type"] for row in kept] == ["PaymentRequested", "SagaStarted"]
    assert (kept[0]["event_version"], kept[0]["correlation_id"]) == (1, data["payment_id"])
    assert {(row["rate"], row["serial"], row["app"]) for row in kept} == {
        ("1.1000", "98765432109876543210", '["ios", null]')
    }


async def test_an_occurred_at_of_30_days_ago_is_kept_as_it_is(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    data, occurred_at = transfer(ada, bob), now_text(days=-30)
    await send(shared, [record(requested(data, occurred_at=occurred_at))])
    payment = await ended(shared, data["payment_id"])
    assert payment["status"] == "completed"
    assert payment["steps"][0] == {"event_type": "PaymentRequested", "occurred_at": occurred_at}


async def test_the_same_idempotency_key_is_the_same_payment_and_answer(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    body, headers = transfer(ada, bob), {"Idempotency-Key": new_id()}
    del body["payment_id"]
    first = await shared.request("POST", f"{POST}?wait=20", json=body, headers=headers)
    again = [
        await shared.request("POST", f"{POST}?wait=20", json=body, headers=headers, worker_id=worker_id)
        for worker_id in ("1", "2")
    ]
    assert first[0] == 200
    assert [answer[:2] for answer in again] == [first[:2]] * 2
    other = await shared.request("POST", POST, json=body | {"amount": "2.00"}, headers=headers)
    assert (other[0], other[1]["reason"]) == (409, "duplicate_mismatch")
    assert await balance(shared, bob) == "1.00"
    assert len(await events(shared, topics.PAYMENT_EVENTS, first[1]["payment_id"])) == 2


async def test_one_key_posted_to_two_workers_at_once_is_one_payment(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    body = transfer(ada, bob)
    del body["payment_id"]
    for _ in range(10):
        headers = {"Idempotency-Key": new_id()}
        answers = await asyncio.gather(
            *(
                shared.request("POST", f"{POST}?wait=20", json=body, headers=headers, worker_id=worker_id)
                for worker_id in ("1", "2", "1", "2")
            )
        )
        assert {status for status, _, _ in answers} == {200}
        assert len({payment["payment_id"] for _, payment, _ in answers}) == 1
    assert await balance(shared, bob) == "10.00"


async def test_one_key_with_two_contents_at_once_is_one_payment_and_a_409(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    for number in range(10):
        headers, body = {"Idempotency-Key": new_id()}, transfer(ada, bob)
        del body["payment_id"]
        (one, first, _), (other, second, _) = await asyncio.gather(
            shared.request("POST", f"{POST}?wait=20", json=body, headers=headers, worker_id="1"),
            shared.request(
                "POST",
                f"{POST}?wait=20",
                json=body | {"metadata": {"note": "x"}},
                headers=headers,
                worker_id="2",
            ),
        )
        assert sorted((one, other)) == [200, 409], (first, second)
        assert await balance(shared, bob) == f"{number + 1}.00"


async def test_a_payment_known_from_kafka_is_known_to_http(shared: LiveSystem) -> None:
    ada, bob = await two_wallets(shared)
    data = transfer(ada, bob, "3.00")
    await send(shared, [record(requested(data))])
    payment = await ended(shared, data["payment_id"])
    assert await pay(shared, data | {"amount": "3"}) == payment
    status, answer, _ = await shared.request("POST", POST, json=data | {"amount": "3.01"})
    assert (status, answer["reason"]) == (409, "duplicate_mismatch")
    assert len(await events(shared, topics.PAYMENT_EVENTS, data["payment_id"])) == 2
    assert await balance(shared, bob) == "3.00"


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})


async def letters(live: LiveSystem, data: dict[str, Any]) -> list[Any]:
    return await read(live, topics.dead_letters(topics.PAYMENT_EVENTS), data["payment_id"])
