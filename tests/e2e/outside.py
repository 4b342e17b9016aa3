"""The outside of a system: HTTP calls, raw records into Kafka, and reads of its topics."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2

from ledger_streams import topics
from tests.live import LiveSystem, eventually

KeyValue = tuple[bytes | None, bytes | None]


def new_id() -> str:
    return str(uuid.uuid4())


def now_text(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def partition_of(payment_id: str) -> int:
    """Return the partition of payment-events that a payment belongs to, as every client of Kafka has it."""
    return (int(murmur2(payment_id.encode())) & 0x7FFFFFFF) % topics.spec(topics.PAYMENT_EVENTS).partitions


def transfer(source: str, target: str, amount: str = "1.00", **fields: Any) -> dict[str, Any]:
    wallets = {"source_wallet_id": source, "target_wallet_id": target}
    return {
        "payment_id": new_id(),
        "kind": "transfer",
        **wallets,
        "amount": amount,
        "currency": "EUR",
    } | fields


def requested(data: Any, **fields: Any) -> dict[str, Any]:
    """Return PaymentRequested with no more than a record from outside has to have."""
    payment_id = data.get("payment_id")
    envelope = {"event_id": new_id(), "event_type": "PaymentRequested", "aggregate_id": payment_id}
    return envelope | {"occurred_at": now_text(), "data": data} | fields


def record(envelope: dict[str, Any]) -> KeyValue:
    return envelope["data"]["payment_id"].encode(), msgspec.json.encode(envelope)


async def send(live: LiveSystem, records: Sequence[KeyValue], *, topic: str = topics.PAYMENT_EVENTS) -> None:
    """Send records as a gateway does: by their keys, all at once."""
    async with AIOKafkaProducer(bootstrap_servers=live.settings.kafka) as producer:
        name = live.settings.topic(topic)
        for sent in [await producer.send(name, value, key=key) for key, value in records]:
            await sent


async def send_as_one_batch(live: LiveSystem, records: Sequence[KeyValue], *, partition: int) -> int:
    """Append records to one partition of payment-events as one batch; return the first one's offset."""
    async with AIOKafkaProducer(
        bootstrap_servers=live.settings.kafka, max_batch_size=1 << 20, max_request_size=1 << 21
    ) as producer:
        batch = producer.create_batch()
        for key, value in records:
            assert batch.append(key=key, value=value, timestamp=None) is not None, "the batch is full"
        name = live.settings.topic(topics.PAYMENT_EVENTS)
        delivered = await producer.send_batch(batch, name, partition=partition)
        offset: int = (await delivered).offset
        return offset


async def read(live: LiveSystem, topic: str, key: str | None = None) -> list[Any]:
    """Return the committed records of a topic, those of one key if it is given, in order of partition."""
    name = live.settings.topic(topic)
    partitions = [TopicPartition(name, number) for number in range(topics.spec(topic).partitions)]
    found = []
    async with AIOKafkaConsumer(
        bootstrap_servers=live.settings.kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for polled in (await consumer.getmany(timeout_ms=200)).values():
                found += [kept for kept in polled if key is None or kept.key == key.encode()]
    return sorted(found, key=lambda kept: (kept.partition, kept.offset))


async def events(live: LiveSystem, topic: str, key: str) -> list[dict[str, Any]]:
    """Return the events of one aggregate, in order."""
    return [msgspec.json.decode(kept.value) for kept in await read(live, topic, key)]


async def parked_by_offset(live: LiveSystem) -> dict[int, list[Any]]:
    """Return the dead letters of payment-events by the offset they name."""
    found: dict[int, list[Any]] = {}
    for letter in await read(live, topics.dead_letters(topics.PAYMENT_EVENTS)):
        found.setdefault(int(dict(letter.headers)["dlq.offset"]), []).append(letter)
    return found


async def open_wallet(live: LiveSystem, *, funds: str | None = None, **fields: Any) -> str:
    """Open a wallet in EUR and pay `funds` into it from the outside world."""
    wallet_id = new_id()
    body = {"wallet_id": wallet_id, "user_id": wallet_id, "currencies": ["EUR"]} | fields
    status, answer, _ = await live.request("POST", "/v1/wallets", json=body)
    assert status == 201, answer
    if funds is not None:
        deposit = {"kind": "deposit", "target_wallet_id": wallet_id, "amount": funds, "currency": "EUR"}
        assert (await pay(live, deposit))["status"] == "completed"
    return wallet_id


async def pay(live: LiveSystem, data: dict[str, Any]) -> dict[str, Any]:
    """Ask for a payment over HTTP and return it when it has ended."""
    status, payment, _ = await live.request("POST", "/v1/payments?wait=20", json=data)
    assert status == 200, payment
    answer: dict[str, Any] = payment
    return answer


async def command(live: LiveSystem, wallet_id: str, verb: str) -> None:
    """Freeze, unfreeze or close a wallet."""
    path = f"/v1/wallets/{wallet_id}/{verb}"
    status, answer, _ = await live.request("POST", path, json={"reason": "a test asks for it"})
    assert status == 200, answer


async def ended(
    live: LiveSystem, payment_id: str, *, seconds: float = 30.0, worker_id: str = "1"
) -> dict[str, Any]:
    """Return the payment as HTTP has it, once it has ended."""

    async def look() -> dict[str, Any] | None:
        status, payment, _ = await live.request("GET", f"/v1/payments/{payment_id}", worker_id=worker_id)
        return payment if status == 200 and payment["status"] != "pending" else None

    return await eventually(look, what=f"payment {payment_id} has ended", seconds=seconds)


async def carried_out_so_far(live: LiveSystem, payment_id: str) -> None:
    """Return when what was sent to the payment's partition before has ended: a later one there has."""
    partition = partition_of(payment_id)
    while partition_of(later := new_id()) != partition:
        pass
    to_nobody = {"payment_id": later, "kind": "deposit", "target_wallet_id": new_id()}
    await send(live, [record(requested(to_nobody | {"amount": "1.00", "currency": "EUR"}))])
    assert (await ended(live, later))["reason"] == "wallet_not_found"


async def balance(live: LiveSystem, wallet_id: str, *, worker_id: str = "1") -> str:
    """Return the wallet's balance in EUR, from the read model and not from the cache."""
    status, wallet, _ = await live.request("GET", f"/v1/wallets/{wallet_id}", worker_id=worker_id)
    assert status == 200, wallet
    text: str = wallet["balances"]["EUR"]["balance"]
    return text
