"""A stack of three brokers: topics with three replicas, and a write that survives the loss of one of them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ledger_streams import topics
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.local.stack import daemon, status, up
from ledger_streams.ports import Message
from ledger_streams.settings import Settings
from tests.fault.testbed import own_servers
from tests.live import eventually

TRANSACTION: Final = 1
"""A kind of coordinator, in FindCoordinator."""


@pytest.fixture(scope="module")
def three() -> Iterator[Settings]:
    """A stack on three addresses in a row, with its topics, stopped afterwards."""
    with own_servers(brokers=3) as settings:
        yield settings


@asynccontextmanager
async def admin_of(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def kill(settings: Settings, name: str) -> None:
    folder = settings.home.resolve() / "stack" / name
    assert daemon.ask_to_stop(folder, signal.SIGKILL)
    daemon.wait_for_end(folder, patience_s=10)


async def in_sync(settings: Settings, topic: str) -> set[tuple[int, int]]:
    """Return of how many replicas how many are in sync, over the topic's partitions."""
    async with admin_of(settings) as admin:
        (described,) = await admin.describe_topics([topic])
    return {(len(each["replicas"]), len(each["isr"])) for each in described["partitions"]}


def test_three_addresses_are_three_brokers_and_their_controllers(three: Settings) -> None:
    servers = [server for server in status(three) if server.name.startswith("kafka-")]
    assert [server.healthy for server in servers] == [True, True, True]
    assert ",".join(server.address for server in servers) == three.kafka


async def test_the_ledger_s_topics_and_kafka_s_own_have_three_replicas_and_need_two(three: Settings) -> None:
    await topics.apply(three)
    assert await topics.check(three) == []  # replicas and min.insync.replicas are among what it compares

    async def is_known() -> bool:
        async with admin_of(three) as admin:
            try:
                await admin.find_coordinator("any", TRANSACTION)
            except KafkaError:  # at first the topic is being made
                return False
        return bool(await in_sync(three, "__transaction_state"))  # which the broker asked may hear later

    await eventually(is_known, what="transactions have a coordinator")
    for topic in (topics.PAYMENT_EVENTS, "__transaction_state"):
        assert {replicas for replicas, _ in await in_sync(three, topic)} == {3}


async def test_a_record_acknowledged_while_a_broker_is_dead_is_replicated_to_it_later(
    three: Settings,
) -> None:
    await topics.apply(three)
    keys = [f"key {number}" for number in range(100)]
    async with KafkaPublisher(three.kafka, clock=BrokerClock(), timeout_s=60) as publisher:
        await publisher.publish([Message(topics.PAYMENT_EVENTS, key, b"before") for key in keys])
        kill(three, "kafka-2")
        await publisher.publish([Message(topics.PAYMENT_EVENTS, key, b"after") for key in keys])
    await asyncio.to_thread(up, three, say=lambda _: None)

    async def is_copied() -> bool:
        return await in_sync(three, topics.PAYMENT_EVENTS) == {(3, 3)}

    await eventually(is_copied, what="all replicas are in sync")
    async with opened_log(three.kafka) as log:
        ends = await log.ends([topics.PAYMENT_EVENTS])
        found = [record async for _, records in log.read(ends) for record in records]
    for value in (b"before", b"after"):
        assert sorted(record.key.decode() for record in found if record.value == value) == sorted(keys)


def test_a_stack_of_three_is_not_started_as_one_of_two(three: Settings) -> None:
    two = three.model_copy(update={"kafka": three.kafka.rpartition(",")[0]})
    with pytest.raises(Unavailable, match=r"this stack has 3 broker\(s\), not 2"):
        up(two, say=lambda _: None)
