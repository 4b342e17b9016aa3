"""Fencing by the group's generation, asked of the broker itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from ledger_streams.engine.kip447 import NO_OFFSET, FencedProducer, Membership, stable_offsets
from ledger_streams.engine.transactions import CycleLost, Transactions
from ledger_streams.errors import InvariantBroken
from ledger_streams.settings import Settings
from tests.engine_toy.harness import Toys


class Group(NamedTuple):
    """A consumer group with one member, and the transactions of a worker in its name."""

    settings: Settings
    consumer: AIOKafkaConsumer
    transactions: Transactions
    source: TP
    target: TP

    @property
    def membership(self) -> Membership:
        coordinator = self.consumer._coordinator
        return Membership(coordinator.generation, coordinator.member_id)

    async def commit(self, value: bytes, membership: Membership) -> None:
        await self.transactions.start()
        await self.transactions.commit({self.target: [(b"key", value, ())]}, {self.source: 1}, membership)

    async def committed(self) -> int:
        partition = TopicPartition(*self.source)
        return (await stable_offsets(self.consumer._client, self.settings.app_id, [partition]))[partition]


def member(settings: Settings) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        settings.topic("toy-in"),
        bootstrap_servers=settings.kafka,
        group_id=settings.app_id,
        enable_auto_commit=False,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
    )


@pytest.fixture
async def toys(alone: Settings) -> Toys:
    group = Toys(alone)
    await group.create_topics()
    return group


@pytest.fixture
async def group(toys: Toys) -> AsyncIterator[Group]:
    settings = toys.settings
    transactions = Transactions(
        bootstrap=settings.kafka,
        transactional_id=settings.app_id,
        group_id=settings.app_id,
        transaction_timeout_ms=5_000,
    )
    source, target = TP(settings.topic("toy-in"), 0), TP(settings.topic("toy-out"), 0)
    async with member(settings) as consumer:
        await consumer.getmany(timeout_ms=100)
        yield Group(settings, consumer, transactions, source, target)
        await transactions.drop()


async def test_the_present_member_commits(toys: Toys, group: Group) -> None:
    await group.commit(b"1", group.membership)
    assert await toys.outputs() == {"key": [1]}
    assert await group.committed() == 1


@pytest.mark.parametrize("who", ["an old generation", "an unknown member"])
async def test_another_is_refused_and_its_records_never_appear(toys: Toys, group: Group, who: str) -> None:
    generation, member_id, _ = group.membership
    stranger = (
        Membership(generation - 1, member_id)
        if who == "an old generation"
        else Membership(generation, "nobody")
    )
    with pytest.raises(CycleLost):
        await group.commit(b"666", stranger)
    assert await group.committed() == NO_OFFSET
    await group.commit(b"1", group.membership)
    await group.commit(b"2", group.membership)
    assert await toys.outputs() == {"key": [1, 2]}, "not with a later transaction either"


async def test_a_membership_that_would_not_be_checked_is_refused_by_us(toys: Toys, group: Group) -> None:
    with pytest.raises(InvariantBroken, match="would not be fenced"):
        await group.commit(b"666", Membership(-1, ""))
    await group.transactions.drop()
    await group.commit(b"1", group.membership)
    assert await toys.outputs() == {"key": [1]}


async def test_paused_until_another_has_joined_a_worker_commits_nothing(toys: Toys, group: Group) -> None:
    before = group.membership
    async with member(group.settings) as other:
        while group.membership.generation == before.generation:
            await other.getmany(timeout_ms=100)
            await group.consumer.getmany(timeout_ms=100)
        with pytest.raises(CycleLost):
            await group.commit(b"666", before)
        await group.commit(b"1", group.membership)
    assert await toys.outputs() == {"key": [1]}


async def test_a_position_is_not_read_while_a_transaction_is_open_on_it(toys: Toys, group: Group) -> None:
    producer = FencedProducer(
        bootstrap_servers=group.settings.kafka,
        transactional_id=f"{group.settings.app_id}-open",
        transaction_timeout_ms=3_000,
        acks="all",
        enable_idempotence=True,
        retry_backoff_ms=5,
    )
    await group.commit(b"1", group.membership)
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_fenced_offsets(
            {TopicPartition(*group.source): 7}, group.settings.app_id, group.membership
        )
        plain = await group.consumer.committed(TopicPartition(*group.source))
        assert plain == 1, "a position asked for plainly is stale at once"
        assert OffsetAndMetadata(plain, "").offset == await group.committed(), (
            "aborted by its time-out, waited for"
        )
        assert not producer._txn_manager.is_fatal_error()
    finally:
        await producer.stop()
