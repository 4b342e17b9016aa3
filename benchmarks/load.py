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
WALLETS = 2_000
WARMING_PAYMENTS = 200


class Timing(msgspec.Struct):
    """Times of payments from sending to end."""

    payments: int
    failed: int
    seconds: float
    payments_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


def timing(seconds: Sequence[float], *, failed: int, elapsed_s: float) -> Timing:
    """Return the figures; `seconds` has one entry per completed payment."""
    rate = len(seconds) / elapsed_s
    at_ms = percentiles([1000 * each_s for each_s in seconds])
    return Timing(len(seconds), failed, round(elapsed_s, 2), round(rate, 1), *at_ms)


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 90th and 99th percentile, rounded to a tenth."""
    ordered = sorted(values)
    p50, p90, p99 = (
        round(ordered[min(len(ordered) - 1, int(len(ordered) * q))], 1) for q in (0.5, 0.9, 0.99)
    )
    return p50, p90, p99


def wallet_ids(count: int, seed: int = 7) -> list[str]:
    """Return `count` wallet ids; the same seed gives the same ids."""
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
    """Return a record's value, as a client would send it."""
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
    """Sends requests to payment-events and reads their outcomes from it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._requests = settings.topic(topics.PAYMENT_EVENTS)
        self._sent_s: dict[bytes, float] = {}
        self._took_s: list[float] = []
        self._failed = 0

    async def open_wallets(self, wallets: Sequence[str]) -> None:
        """Open each wallet, with an overdraft that no run exhausts."""
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
        """Send `payments` transfers (rate 0: as fast as possible) and wait for all outcomes."""
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
        """Yield a consumer of the records sent to payment-events from now on."""
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
        """Send transfers and wait until Kafka has acknowledged them; rate 0 is as fast as possible."""
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
        """Poll once; return how many of the sent payments have ended."""
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


async def start_warm_system(
    live: LiveSystem, *, workers: int, with_projector: bool
) -> tuple[KafkaLoad, list[str]]:
    """Start the processes, open the wallets, warm up; return the load and the wallets."""
    names = [str(number) for number in range(1, workers + 1)]
    for name in names:
        live.start("worker", name)
    for name in names:
        await live.ready(name)
    if with_projector:
        live.start("projector")
    load, wallets = KafkaLoad(live.settings), wallet_ids(WALLETS)
    await load.open_wallets(wallets)
    await load.run(wallets, payments=WARMING_PAYMENTS, rate_per_s=50)
    return load, wallets


async def at_rates(
    live: LiveSystem, *, payments: int, rates_per_s: Sequence[float], workers: int, with_projector: bool
) -> dict[str, Timing]:
    """Send transfers over Kafka at each rate in turn; rate 0 is as fast as possible."""
    load, wallets = await start_warm_system(live, workers=workers, with_projector=with_projector)
    return {
        f"{rate:g}/s" if rate else "saturation": await load.run(wallets, payments=payments, rate_per_s=rate)
        for rate in rates_per_s
    }


async def http_at_rates(
    live: LiveSystem, *, payments: int, rates_per_s: Sequence[float], workers: int
) -> dict[str, Timing]:
    """Send transfers over HTTP at each rate in turn, with a projector running."""
    _, wallets = await start_warm_system(live, workers=workers, with_projector=True)
    return {
        f"{rate:g}/s": await http_with_wait(live, wallets, payments=payments, rate_per_s=rate)
        for rate in rates_per_s
    }


async def http_with_wait(
    live: LiveSystem, wallets: Sequence[str], *, payments: int, rate_per_s: float
) -> Timing:
    """POST transfers with ?wait=30 at a steady rate; the time of a payment is that of its call."""
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
