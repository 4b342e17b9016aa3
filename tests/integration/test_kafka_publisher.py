"""The publisher on a real broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.ports import Message
from ledger_streams.settings import Settings
from tests.projected import new_id


@pytest.fixture
async def topic(stack: Settings) -> AsyncIterator[str]:
    name = f"published-{new_id()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def values_by_key(kafka: str, topic: str, count: int) -> dict[str, list[int]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", check_crcs=True)
    consumer.assign([TopicPartition(topic, partition) for partition in range(3)])
    await consumer.start()
    found: dict[str, list[int]] = defaultdict(list)
    try:
        for _ in range(count):
            record = await consumer.getone()
            found[record.key.decode()].append(int(record.value))
    finally:
        await consumer.stop()
    return found


async def test_published_records_are_in_the_log_in_order(stack: Settings, topic: str) -> None:
    keys = [new_id() for _ in range(7)]
    messages = [Message(topic, keys[number % 7], str(number).encode()) for number in range(2_000)]
    async with KafkaPublisher(stack.kafka, clock=BrokerClock()) as publisher:
        await publisher.publish([])
        await publisher.publish(messages)
        await publisher.publish([Message(topic, keys[0], b"2000")])
    found = await values_by_key(stack.kafka, topic, 2_001)
    assert found == {key: [*range(n, 2_000, 7)] + [2_000] * (n == 0) for n, key in enumerate(keys)}


async def test_a_record_above_the_brokers_limit_is_rejected(stack: Settings, topic: str) -> None:
    async with KafkaPublisher(stack.kafka, clock=BrokerClock()) as publisher:
        with pytest.raises(Rejected):
            await publisher.publish([Message(topic, "key", b"x" * 2_000_000)])
        await publisher.publish([Message(topic, "key", b"1")])
    assert await values_by_key(stack.kafka, topic, 1) == {"key": [1]}


async def test_a_stopped_kafka_raises_unavailable() -> None:
    publisher = KafkaPublisher("127.0.0.1:1", clock=BrokerClock(), timeout_s=1)
    with pytest.raises(Unavailable, match="kafka is not available"):
        await publisher.publish([Message("any", "key", b"1")])
    await publisher.stop()
