"""Hanging transactions: a commit without markers in some partitions is completed by the next start.

The broker forgets partitions that have no leader when it writes their markers.  The tests
provoke it: the coordinator never learns of a partition that the transaction writes to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import InvalidTxnState, KafkaConnectionError, KafkaError, ProducerFenced
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.structs import OffsetAndMetadata

from ledger_streams.errors import Unavailable
from ledger_streams.kafka.hanging_transaction_messages import (
    DescribeProducers,
    DescribeTransactions,
    WriteTxnMarkers,
)
from ledger_streams.kafka.hanging_transaction_scan import EVERY_S
from ledger_streams.kafka.hanging_transactions import Committed
from ledger_streams.kafka.records import Outbox
from ledger_streams.kafka.transaction_settlement import found_open, settle
from ledger_streams.kafka.transactional_producer import connect, discard, noted
from ledger_streams.kafka.transactions import CycleLost
from ledger_streams.settings import Settings
from tests.engine_app.group import Group, transactions_of
from tests.engine_app.harness import EngineWorkers
from tests.live import eventually
from tests.unverified_broker import unverified

TOLD, UNTOLD = 0, 1
Write = Callable[[AIOKafkaProducer], Awaitable[None]]
READ_S_MAX = 3.0
NEW_TOPICS, NEW_TOPICS_TIMES = 8, 12


@pytest.fixture
async def places(workers: EngineWorkers, stack: Settings) -> AsyncIterator[list[TopicPartition]]:
    """Two partitions, on a broker that takes records of transactions it was not told of."""
    topic = workers.settings.topic("toy-out")
    async with unverified(stack):
        yield [TopicPartition(topic, TOLD), TopicPartition(topic, UNTOLD)]


def producer_of(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=settings.app_id, retry_backoff_ms=5
    )


async def leave(settings: Settings, topic: str, write: Write, *, is_committed: bool = True) -> None:
    """End a transaction without the coordinator's having heard of all that it has written to."""

    async def is_left() -> bool:
        producer = producer_of(settings)
        await connect(producer, {topic})
        try:
            await producer.begin_transaction()
            await write(producer)
            await (producer.commit_transaction() if is_committed else producer.abort_transaction())
        except KafkaError as error:  # the broker has not heard yet that it is not to verify
            assert InvalidTxnState in {type(error), type(error.__cause__)}, error
            return False
        finally:
            await discard(producer)
        return True

    await eventually(is_left, what="a transaction is left half ended")


async def committed(settings: Settings, places: list[TopicPartition]) -> dict[int, int]:
    """Return how many records of each partition a reader of committed records sees, to its very end."""
    kafka = {"bootstrap_servers": settings.kafka, "enable_auto_commit": False}
    async with AIOKafkaConsumer(**kafka) as consumer:
        ends = await consumer.end_offsets(places)
    seen = dict.fromkeys((place.partition for place in places), 0)
    async with AIOKafkaConsumer(**kafka, isolation_level="read_committed") as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning()

        async def is_read() -> bool:
            for place, records in (await consumer.getmany(timeout_ms=100)).items():
                seen[place.partition] += len(records)
            return [await consumer.position(place) for place in places] == [ends[place] for place in places]

        await eventually(is_read, what="nothing is open", seconds=READ_S_MAX)
    return seen


@pytest.mark.parametrize("is_committed", [True, False])
async def test_the_next_start_completes_a_hanging_transaction_in_every_partition_as_decided(
    workers: EngineWorkers, places: list[TopicPartition], is_committed: bool
) -> None:
    settings, (told, untold) = workers.settings, places

    async def write(producer: AIOKafkaProducer) -> None:
        await producer.send_and_wait(told.topic, b"1", partition=told.partition)
        producer._txn_manager._txn_partitions.add(untold)  # as if the coordinator knew
        await producer.send_and_wait(untold.topic, b"1", partition=untold.partition)

    await leave(settings, told.topic, write, is_committed=is_committed)
    with pytest.raises(AssertionError, match="nothing is open"):
        await committed(settings, places)
    following = producer_of(settings)
    await connect(following, {told.topic})
    await discard(following)
    records = 1 if is_committed else 0
    assert await committed(settings, places) == {TOLD: records, UNTOLD: records}


async def test_a_producer_without_cluster_rights_completes_a_hanging_transaction_only_where_it_is_open(
    workers: EngineWorkers, places: list[TopicPartition]
) -> None:
    """It settles without markers of its own, which only an administrator may write."""
    settings, (told, untold) = workers.settings, places

    async def write(producer: AIOKafkaProducer) -> None:
        await producer.send_and_wait(told.topic, b"1", partition=told.partition)
        producer._txn_manager._txn_partitions.add(untold)  # as if the coordinator knew
        await producer.send_and_wait(untold.topic, b"1", partition=untold.partition)

    await leave(settings, told.topic, write)
    following = producer_of(settings)
    await following.start()
    ((place, epoch),) = (await found_open(following, [told.topic])).open.items()
    assert place == untold
    last = Committed(following._txn_manager.producer_id, range(epoch, epoch + 1))
    assert await settle(following, [told.topic], committed=last) == {}

    async def is_over() -> bool:
        return not (await found_open(following, [told.topic])).open

    await eventually(is_over, what="the marker is written")
    await discard(following)
    assert await committed(settings, places) == {TOLD: 1, UNTOLD: 1}


async def test_offsets_of_a_hanging_transaction_are_committed_too(
    workers: EngineWorkers, places: list[TopicPartition]
) -> None:
    settings, (told, _) = workers.settings, places

    async def write(producer: AIOKafkaProducer) -> None:
        await producer.send_and_wait(told.topic, b"1", partition=told.partition)
        producer._txn_manager._txn_consumer_group = settings.app_id  # as if the coordinator knew
        await producer.send_offsets_to_transaction({told: OffsetAndMetadata(7, "")}, settings.app_id)

    await leave(settings, told.topic, write)
    following = producer_of(settings)
    await connect(following, {told.topic})
    await discard(following)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, group_id=settings.app_id, enable_auto_commit=False
    ) as consumer:
        assert await consumer.committed(told) == 7


async def test_a_running_worker_completes_its_hanging_transaction_after_a_while(
    group: Group, places: list[TopicPartition]
) -> None:
    settings, (told, untold) = group.settings, places
    living = transactions_of(settings, [told.topic])
    outbox: Outbox = {group.partition(each.partition): [(b"key", b"1", ())] for each in places}

    async def is_left() -> bool:
        await living.start()
        (producer, _) = living._producers
        producer._txn_manager._txn_partitions.add(untold)  # as if the coordinator knew
        try:
            await living.commit(dict(outbox), {group.source: 1}, group.membership)
        except CycleLost:  # the broker has not heard yet that it is not to verify
            return False
        return True

    await eventually(is_left, what="a transaction is left half ended")
    await living.scan_hanging_transactions()
    with pytest.raises(AssertionError, match="nothing is open"):
        await committed(settings, places)

    async def is_ended() -> bool:
        living._scan._looked_s -= EVERY_S
        await living.scan_hanging_transactions()
        try:
            return await committed(settings, places) == {TOLD: 1, UNTOLD: 1}
        except AssertionError:  # a busy broker has not answered in time: it is looked again
            return False

    await eventually(is_ended, what="it is ended everywhere")
    await living.commit(dict(outbox), {group.source: 2}, group.membership)
    assert await committed(settings, places) == {TOLD: 2, UNTOLD: 2}
    await living.drop()


async def test_a_partition_without_a_leader_at_the_start_is_settled_once_it_has_one(
    workers: EngineWorkers, places: list[TopicPartition]
) -> None:
    """Readers would stand still at what hangs there, and an idle worker has no cycle that would notice."""
    transactions = transactions_of(workers.settings, [places[0].topic])
    await transactions.start()
    transactions._owed[0] = {places[0]: None}

    async def is_noticed() -> bool:
        transactions._scan._looked_s -= EVERY_S
        try:
            await transactions.scan_hanging_transactions()
        except CycleLost:
            return True
        return False

    await eventually(is_noticed, what="new producers are asked for")
    await transactions.start()
    assert not any(transactions._owed)
    await transactions.drop()


def before(client: AIOKafkaClient, request: type[Any], *does: Callable[[], Awaitable[Any]]) -> None:
    """Have something done before requests of a type are sent: the first before the first one, and so on."""
    send, left = client.send, list(does)

    async def interrupted(node_id: int, asked: Any, **where: Any) -> Any:
        if isinstance(asked, request) and left:
            await left.pop(0)()
        return await send(node_id, asked, **where)

    client.send = interrupted


async def half_committed(producer: AIOKafkaProducer, places: list[TopicPartition]) -> None:
    """Commit a record to both partitions, of which the coordinator hears of the one it is told of."""
    told, untold = places
    await producer.begin_transaction()
    await producer.send_and_wait(told.topic, b"1", partition=told.partition)
    producer._txn_manager._txn_partitions.add(untold)  # as if the coordinator knew
    await producer.send_and_wait(untold.topic, b"1", partition=untold.partition)
    await producer.commit_transaction()


@asynccontextmanager
async def a_living_one(settings: Settings, places: list[TopicPartition]) -> AsyncIterator[AIOKafkaProducer]:
    """A redrive, say, under way in another process, whose last transaction is half forgotten."""
    found: list[AIOKafkaProducer] = []

    async def is_left() -> bool:
        producer = producer_of(settings)
        await connect(producer, {places[TOLD].topic})
        try:
            await half_committed(producer, places)
        except KafkaError:  # the broker has not heard yet that it is not to verify
            await discard(producer)
            return False
        found.append(producer)
        return True

    await eventually(is_left, what="a transaction is left half ended")
    yield found[0]
    await discard(found[0])


async def test_a_start_fences_a_live_producer_first_and_commits_no_part_of_its_open_transaction(
    workers: EngineWorkers, places: list[TopicPartition]
) -> None:
    settings, (told, untold) = workers.settings, places
    async with a_living_one(settings, places) as living:
        following, late = producer_of(settings), []

        async def begin() -> None:
            await living.begin_transaction()
            await living.send_and_wait(told.topic, b"666", partition=told.partition)

        async def go_on() -> None:
            late.append(await living.send(untold.topic, b"666", partition=untold.partition))
            for batch in living._message_accumulator._batches[untold]:
                batch._drain_waiter.add_done_callback(noted)  # which fails too
            await asyncio.wait(late)

        before(following.client, InitProducerIdRequest, begin)
        before(following.client, WriteTxnMarkers, go_on)
        await connect(following, {told.topic})
        await discard(following)
        with pytest.raises(ProducerFenced):
            await late[0]
    assert await committed(settings, places) == {TOLD: 1, UNTOLD: 1}


@pytest.mark.parametrize("killed_at", [DescribeProducers, WriteTxnMarkers])
async def test_a_decision_survives_a_kill_of_the_start_that_fenced_the_producer(
    workers: EngineWorkers, places: list[TopicPartition], killed_at: type[Any]
) -> None:
    settings, (told, _) = workers.settings, places

    async def be_killed() -> None:
        raise KafkaConnectionError("killed")

    async with a_living_one(settings, places):
        for _ in range(2):
            killed = producer_of(settings)
            before(killed.client, killed_at, be_killed)
            with pytest.raises(Unavailable):
                await connect(killed, {told.topic})
    following = producer_of(settings)
    await connect(following, {told.topic})
    await discard(following)
    assert await committed(settings, places) == {TOLD: 1, UNTOLD: 1}


async def test_a_scan_leaves_transactions_of_another_process_with_the_same_id_alone(
    workers: EngineWorkers, group: Group
) -> None:
    """The other one is between two transactions whenever the coordinator is asked, and in one otherwise."""
    older = group.transactions
    newer = transactions_of(group.settings)
    at, topic = group.partition(0), group.partition(0).topic
    await group.commit(b"1", group.membership)
    older._scan._topics = [topic]
    looked_at, _ = reversed(older._producers)
    await group._replace(transactions=newer).commit(b"2", group.membership)

    async def begin() -> None:
        await newer.commit({at: [(b"key", b"3", ())]}, {group.source: 3}, group.membership)
        await newer.send({at: [(b"key", b"4", ())]}, group.membership)
        before(looked_at.client, DescribeTransactions, end)

    async def end() -> None:
        await newer.commit({}, {group.source: 4}, group.membership)

    async def begin_another() -> None:
        await newer.commit({at: [(b"key", b"5", ())]}, {group.source: 5}, group.membership)
        await newer.send({at: [(b"key", b"666", ())]}, group.membership)

    before(looked_at.client, DescribeProducers, begin)
    before(looked_at.client, WriteTxnMarkers, begin_another)
    await older._scan._look_at(looked_at)
    await newer.drop()
    await newer.start()  # which aborts what it has left open
    await newer.drop()
    await older.drop()
    assert 666 not in (await workers.outputs())["key"]


async def test_a_scan_does_not_commit_a_transaction_that_another_start_has_aborted(
    group: Group, places: list[TopicPartition]
) -> None:
    older, newer = transactions_of(group.settings, [places[0].topic]), transactions_of(group.settings)
    outbox: Outbox = {group.partition(each.partition): [(b"key", b"666", ())] for each in places}

    async def is_left() -> bool:
        await older.start()
        older._producers[0]._txn_manager._txn_partitions.add(places[UNTOLD])  # as if the coordinator knew
        with suppress(CycleLost):  # the broker has not heard yet that it is not to verify
            await older.send(dict(outbox), group.membership)
        return older._open is not None

    await eventually(is_left, what="a transaction is open where nobody knows of it")
    await group._replace(transactions=newer).commit(b"1", group.membership)
    await older._scan._look_at(older._producers[-1])
    await older.drop()
    await older.start()  # which aborts it everywhere
    await asyncio.gather(older.drop(), newer.drop())
    assert await committed(group.settings, places) == {TOLD: 1, UNTOLD: 0}


async def test_a_worker_starts_although_its_topics_were_created_just_now(workers: EngineWorkers) -> None:
    """A new partition's leader is named before it knows of it itself."""
    settings = workers.settings
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    made: list[str] = []
    try:
        for number in range(NEW_TOPICS_TIMES):
            topics = [settings.topic(f"new-{number}-{each}") for each in range(NEW_TOPICS)]
            made += topics
            await admin.create_topics(
                [NewTopic(topic, num_partitions=8, replication_factor=1) for topic in topics]
            )
            producer = producer_of(settings)
            await connect(producer, topics)
            async with producer.transaction():  # only after a committed one partitions are asked
                await producer.send(topics[0], b"1")
            await discard(producer)
    finally:
        await admin.delete_topics(made)
        await admin.close()
