"""Metadata of each broker: the controller acknowledges a change before all brokers have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.client_options import Bootstrap, options


async def count_brokers(bootstrap: Bootstrap, *, timeout_ms: int) -> int:
    """Return how many brokers the cluster's metadata has.  Raises KafkaError and OSError."""
    client = AIOKafkaClient(**options(bootstrap), request_timeout_ms=timeout_ms)
    try:
        await client.bootstrap()
        return len(client.cluster.brokers())
    finally:
        await close_within("the probe of Kafka", client.close())


async def not_led(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> list[str]:
    """Return the topics that some broker does not know, or not a leader of every partition.

    A broker that is away is not asked.  Raises KafkaError when all of them are.
    """
    led = set(topics)
    async for described in _described_by_each(admin, topics):
        led &= {topic["topic"] for topic in described if not topic["error_code"] and _is_led(topic)}
    return [topic for topic in topics if topic not in led]


async def _described_by_each(
    admin: AIOKafkaAdminClient, topics: Collection[str]
) -> AsyncIterator[Sequence[Any]]:
    away: KafkaError | None = KafkaError("no broker is known")
    for broker in admin._client.cluster.brokers():
        try:
            answer = await admin._send_request(MetadataRequest(list(topics)), broker.nodeId)
        except KafkaError as error:
            away = away and error
            continue
        away = None
        yield answer.to_object()["topics"]
    if away is not None:
        raise away


def _is_led(topic: Any) -> bool:
    return all(partition["leader"] >= 0 for partition in topic["partitions"])
