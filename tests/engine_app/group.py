"""A consumer group with members of the test's own, and a worker's transactions in their name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.fenced_offsets import Membership, stable_commits
from ledger_streams.kafka.records import Outbox
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.settings import Settings


class Group(NamedTuple):
    """A group's first member, and the transactions of a worker."""

    settings: Settings
    consumer: AIOKafkaConsumer
    transactions: Transactions

    @property
    def membership(self) -> Membership:
        """The first member's place in the group, as it is now."""
        return membership_of(self.consumer)

    @property
    def source(self) -> TP:
        """The partition whose positions are committed."""
        return TP(self.settings.topic("toy-in"), 0)

    def partition(self, number: int, topic: str = "toy-out") -> TP:
        """Return a partition to send to."""
        return TP(self.settings.topic(topic), number)

    async def commit(self, value: bytes, membership: Membership, *, source_next: int = 1) -> None:
        """Commit one record and a source position, with producers that are started if there are none."""
        await self.transactions.start()
        outbox: Outbox = {self.partition(0): [(b"key", value, ())]}
        await self.transactions.commit(outbox, {self.source: source_next}, membership)

    async def committed(self) -> int:
        """Return the stable position of the source."""
        offsets = await self.offsets([self.source])
        return offsets[TopicPartition(*self.source)]

    async def offsets(
        self, partitions: list[TP], group_id: str | None = None
    ) -> Mapping[TopicPartition, int]:
        """Return the stable positions of some partitions, of this group or another."""
        wanted = [TopicPartition(*tp) for tp in partitions]
        commits = await stable_commits(self.consumer._client, group_id or self.settings.app_id, wanted)
        return {tp: commit.offset for tp, commit in commits.items()}


def member(settings: Settings, *, instance_id: str | None = None) -> AIOKafkaConsumer:
    """Return a consumer that joins the toys' group when it is started."""
    return AIOKafkaConsumer(
        settings.topic("toy-in"),
        bootstrap_servers=settings.kafka,
        group_id=settings.app_id,
        group_instance_id=instance_id,
        enable_auto_commit=False,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
    )


def membership_of(consumer: AIOKafkaConsumer) -> Membership:
    """Return a member's place in the group, as it is now."""
    coordinator = consumer._coordinator
    return Membership(coordinator.generation, coordinator.member_id, coordinator._group_instance_id)


def transactions_of(settings: Settings, topics: Collection[str] = ()) -> Transactions:
    """Return transactions under the id that the tests' group has."""
    return Transactions(
        bootstrap=settings.kafka,
        transactional_id=settings.app_id,
        group_id=settings.app_id,
        transaction_timeout_ms=5_000,
        topics=topics,
        clock=BrokerClock(),
    )


@asynccontextmanager
async def group_of(settings: Settings, *, instance_id: str | None = None) -> AsyncIterator[Group]:
    """A group whose first member has joined."""
    transactions = transactions_of(settings)
    async with member(settings, instance_id=instance_id) as consumer:
        await consumer.getmany(timeout_ms=100)
        yield Group(settings, consumer, transactions)
        await transactions.drop()
