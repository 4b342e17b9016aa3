"""Transfers: requests that are created before the clock starts, and sent at a rate or all at once.

The time of a payment begins when it is due, not when it is sent, so a late sender does not
hide latency (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaProducer

from benchmarks.load import record
from benchmarks.rebuild import write
from benchmarks.wallet_distribution import DISTRIBUTIONS
from ledger_streams import topics
from ledger_streams.kafka.murmur2 import murmur2
from ledger_streams.settings import Settings

TICK_S: Final = 0.005
"""Interval between checks for due payments."""
AMOUNT: Final = "10.25"


class Request(NamedTuple):
    """A record for payment-events."""

    key: bytes
    value: bytes


def transfers(
    count: int, wallets: Sequence[str], *, distribution: str = "uniform", seed: int
) -> list[Request]:
    """Return transfers of 10.25 EUR; the same seed gives the same payment ids."""
    random = Random(seed)
    draw = DISTRIBUTIONS[distribution](random, wallets)
    return [_transfer(random, *draw()) for _ in range(count)]


async def send_all(settings: Settings, requests: Sequence[Request]) -> None:
    """Send as fast as possible in large batches; return when Kafka has acknowledged all."""
    await write(settings, topics.PAYMENT_EVENTS, requests)


async def send_paced(
    settings: Settings, requests: Sequence[Request], rate_per_s: float
) -> dict[bytes, float]:
    """Send at a steady rate; return the due time of each payment, by time.perf_counter."""
    topic, count = settings.topic(topics.PAYMENT_EVENTS), topics.spec(topics.PAYMENT_EVENTS).partitions
    numbers = [(murmur2(key) & 0x7FFFFFFF) % count for key, _ in requests]
    due_s: dict[bytes, float] = {}
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all") as producer:
        began_s, sent = time.perf_counter(), 0
        while sent < len(requests):
            due = min(len(requests), int((time.perf_counter() - began_s) * rate_per_s) + 1)
            for (key, value), number in zip(requests[sent:due], numbers[sent:due], strict=True):
                due_s[key] = began_s + len(due_s) / rate_per_s
                await producer.send(topic, value, key=key, partition=number)
            sent = due
            await asyncio.sleep(TICK_S)
        await producer.flush()
    return due_s


def _transfer(random: Random, source: str, target: str) -> Request:
    payment_id = str(UUID(int=random.getrandbits(128), version=4))
    data: dict[str, Any] = {
        "payment_id": payment_id,
        "kind": "transfer",
        "source_wallet_id": source,
        "target_wallet_id": target,
        "amount": AMOUNT,
        "currency": "EUR",
    }
    return Request(payment_id.encode(), record("PaymentRequested", payment_id, data))
