"""Load: transfers between wallets of one system, over Kafka or over HTTP, and the time they take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.live import LiveSystem

ENDED_S_MAX = 300.0


class Timing(msgspec.Struct):
    """How long payments took from being sent to having ended."""

    payments: int
    failed: int
    seconds: float
    payments_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


def timing(seconds: Sequence[float], *, failed: int, elapsed_s: float) -> Timing:
    """Sum up; `seconds` has one entry a payment that completed."""
    ordered = sorted(seconds)
    at = [1000 * ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.9, 0.99)]
    rate = len(ordered) / elapsed_s
    return Timing(len(ordered), failed, round(elapsed_s, 2), round(rate, 1), *(round(ms, 1) for ms in at))


def wallet_ids(count: int, seed: int = 7) -> list[str]:
    """Return as many ids, the same for the same seed."""
    random = Random(seed)
    return [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(count)]


def transfer(random: Random, wallets: Sequence[str]) -> dict[str, Any]:
    """Return the data of a transfer of 10.25 EUR between two of the wallets."""
    source, target = random.sample(wallets, 2)
    return {
        "payment_id": str(uuid4()),
        "kind": "transfer",
        "source_wallet_id": source,
        "target_wallet_id": target,
        "amount": "10.25",
        "currency": "EUR",
    }


def record(event_type: str, aggregate_id: str, data: dict[str, Any]) -> bytes:
    """Return a record as a gateway would send it."""
    return msgspec.json.encode(
        {
            "event_id": str(uuid4()),
            "event_type": event_type,
            "aggregate_id": aggregate_id,
            "event_version": 1,
            "occurred_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "correlation_id": aggregate_id,
            "causation_id": None,
            "data": data,
        }
    )


class KafkaLoad:
    """Sends requests to payment-events and waits for their outcomes there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._requests = settings.topic(topics.PAYMENT_EVENTS)
        self._sent_s: dict[bytes, float] = {}
        self._took_s: list[float] = []
        self._failed = 0

    async def open_wallets(self, wallets: Sequence[str]) -> None:
        """Send OpenWallet for each, with an overdraft that no run uses up."""
        commands = self._settings.topic(topics.WALLET_COMMANDS)
        async with AIOKafkaProducer(bootstrap_servers=self._settings.kafka, acks="all") as producer:
            for wallet in wallets:
                limits = {"EUR": "1000000000.00"}
                opening = {
                    "wallet_id": wallet,
                    "user_id": wallet,
                    "currencies": ["EUR"],
                    "overdraft_limits": limits,
                }
                await producer.send(commands, record("OpenWallet", wallet, opening), key=wallet.encode())
            await producer.flush()

    async def run(self, wallets: Sequence[str], *, payments: int, rate_per_s: float) -> Timing:
        """Send `payments` transfers, as fast as they go when the rate is 0, and wait for all outcomes."""
        self._sent_s, self._took_s, self._failed = {}, [], 0
        async with self.outcomes() as consumer:
            reading = asyncio.create_task(self._read_until(consumer, payments))
            began = time.perf_counter()
            await self.send(wallets, payments, rate_per_s)
            await asyncio.wait_for(reading, ENDED_S_MAX)
            elapsed_s = time.perf_counter() - began
        return timing(self._took_s, failed=self._failed, elapsed_s=elapsed_s)

    @asynccontextmanager
    async def outcomes(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Open a reader of what is sent to payment-events from now on."""
        count = topics.spec(topics.PAYMENT_EVENTS).partitions
        partitions = [TopicPartition(self._requests, number) for number in range(count)]
        async with AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_poll_records=5_000,
            fetch_max_wait_ms=5,
        ) as consumer:
            consumer.assign(partitions)
            await consumer.seek_to_end()
            for partition in partitions:
                await consumer.position(partition)
            yield consumer

    async def send(self, wallets: Sequence[str], payments: int, rate_per_s: float) -> None:
        """Send transfers and wait until Kafka has them; a rate of 0 is as fast as it goes."""
        random, began = Random(payments), time.perf_counter()
        batches: dict[str, Any] = {"linger_ms": 0 if rate_per_s else 5, "max_batch_size": 262_144}
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka, acks="all", compression_type="lz4", **batches
        )
        async with producer:
            for number in range(payments):
                data = transfer(random, wallets)
                key = data["payment_id"].encode()
                self._sent_s[key] = time.perf_counter()
                await producer.send(self._requests, record("PaymentRequested", key.decode(), data), key=key)
                wait_s = began + number / rate_per_s - time.perf_counter() if rate_per_s else 0
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
            await producer.flush()

    async def _read_until(self, consumer: AIOKafkaConsumer, payments: int) -> None:
        ended = 0
        while ended < payments:
            ended += await self.poll(consumer)

    async def poll(self, consumer: AIOKafkaConsumer) -> int:
        """Read once, and return how many of the payments sent have ended."""
        before = len(self._took_s) + self._failed
        polled = await consumer.getmany(timeout_ms=1000)
        now = time.perf_counter()
        for outcome in (outcome for records in polled.values() for outcome in records):
            if outcome.key not in self._sent_s or b'"PaymentRequested"' in outcome.value:
                continue
            if b'"PaymentCompleted"' in outcome.value:
                self._took_s.append(now - self._sent_s[outcome.key])
            else:
                self._failed += 1
        return len(self._took_s) + self._failed - before


async def http_with_wait(
    live: LiveSystem, wallets: Sequence[str], *, payments: int, rate_per_s: float
) -> Timing:
    """POST transfers with ?wait=30 at a steady rate; a payment's time is that of its call."""
    random, took_s, failed, began = Random(payments), [], 0, time.perf_counter()

    async def post(data: dict[str, Any]) -> bool:
        at = time.perf_counter()
        status, payment, _ = await live.request("POST", "/v1/payments?wait=30", json=data)
        if status == 200 and payment["status"] == "completed":
            took_s.append(time.perf_counter() - at)
            return True
        return False

    calls = []
    for number in range(payments):
        await asyncio.sleep(max(0.0, began + number / rate_per_s - time.perf_counter()))
        calls.append(asyncio.create_task(post(transfer(random, wallets))))
    failed = (await asyncio.gather(*calls)).count(False)
    return timing(took_s, failed=failed, elapsed_s=time.perf_counter() - began)
