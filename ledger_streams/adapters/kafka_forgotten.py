"""Forgotten transactions: committed for their coordinator, and still open in partitions.

A broker that ends a transaction skips the partitions that have no leader just then, which are all of a
lone broker that comes back, and writes down that the transaction is over.  The next one to use the
producer's id would end it there as that one ends, so it could abort what was committed.  Whoever
starts such a producer therefore first asks what was decided, and has it written where it is missing.

A partition cannot tell one transaction of a producer's epoch from the next one.  So a marker is written
only when no transaction of that epoch can begin any more: its producer is out of use, or fenced by the
start of the next one (`kafka_transactional`).  A partition that a newer epoch has written to refuses it.
The start that fences also makes the coordinator forget what was decided; the answer is therefore noted
with it, in the parity of the transaction's time-out, which the coordinator keeps and tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import aiokafka.errors as kafka_errors
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.cluster import ClusterMetadata

from ledger_streams.adapters.kafka_marker_messages import (
    DescribeProducers,
    DescribeProducersResponseV0,
    DescribeTransactions,
    WriteTxnMarkers,
)
from ledger_streams.adapters.kafka_requests import ASK_AGAIN_S, COORDINATOR_MISSING

log = logging.getLogger(__name__)

OFFSETS_TOPIC: Final = "__consumer_offsets"
COMMITTED: Final = "CompleteCommit"
COMMITTING: Final = "PrepareCommit"
STARTED: Final = "Empty"
"""A producer has started, and begun no transaction yet."""
UNKNOWN_ID: Final = 105
"""TRANSACTIONAL_ID_NOT_FOUND: nobody has used it for a week, or ever."""
Partitions = Mapping[str, Collection[int]]


class MarkersUnanswered(kafka_errors.KafkaError):  # type: ignore[misc]
    """A broker was told to commit, and has not answered: it may do so later, whatever is open by then.

    So the producer begins no transaction in the epoch that it has.
    """


class Committed(NamedTuple):
    """A producer whose last transaction was committed, and the epochs of which all that has ended was."""

    producer_id: int
    epochs: range


class Hanging(NamedTuple):
    """A transaction that is open in a partition."""

    partition: TopicPartition
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int


def noted_timeout_ms(timeout_ms: int, *, is_committed: bool) -> int:
    """Return the time-out with which a producer starts: odd when the last transaction was committed."""
    even_ms = timeout_ms - timeout_ms % 2
    return even_ms - 1 if is_committed else even_ms


async def last_committed(client: AIOKafkaClient, transactional_id: str) -> Committed | None:
    """Return the producer of an id whose last transaction was committed; None if it was not, or is open.

    Also where a start has fenced it since, and was killed before it had written what was missing.
    """
    state, timeout_ms, producer_id, epoch = await _decided(client, transactional_id)
    if state == COMMITTED:
        return Committed(producer_id, range(epoch, epoch + 1))
    if state == STARTED and timeout_ms % 2:
        return Committed(producer_id, range(epoch))
    return None


async def commit_forgotten(client: AIOKafkaClient, committed: Committed, topics: Collection[str]) -> None:
    """Commit in `topics`, and in all groups' offsets, what the producer has left open there.

    Its epochs must be out of use: see above.  Raises KafkaError: one of LEADER_MOVING while a
    partition has no leader, MarkersUnanswered, and what the broker answers to a principal that may not
    alter the cluster.
    """
    cluster = await led(client, topics)
    for node_id, partitions in _by_leader(cluster, topics).items():
        answer = await _ask(client, node_id, DescribeProducers(_listed(partitions), {}))
        for hanging in list(_hanging(answer, committed)):
            await _commit(client, node_id, hanging)


async def led(client: AIOKafkaClient, topics: Collection[str]) -> ClusterMetadata:
    """Return the cluster; raises LeaderNotAvailableError while a partition of `topics` has no leader."""
    cluster = await client.fetch_all_metadata()
    for topic in (*topics, OFFSETS_TOPIC):
        if cluster.partitions_for_topic(topic) != cluster.available_partitions_for_topic(topic):
            raise kafka_errors.LeaderNotAvailableError(f"a partition of {topic} has no leader")
    return cluster


async def _decided(client: AIOKafkaClient, transactional_id: str) -> tuple[str, int, int, int]:
    """Return state, time-out, producer and epoch, once the coordinator has told what it is telling."""
    while True:
        with suppress(*COORDINATOR_MISSING):
            node_id = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            answer = await _ask(client, node_id, DescribeTransactions([transactional_id], {}))
            ((error_code, _id, state, timeout_ms, _start, producer_id, epoch, _topics, _tags),) = (
                answer.states
            )
            if error_code != UNKNOWN_ID:
                _check(error_code)
            if state != COMMITTING:
                return state, timeout_ms, producer_id, epoch
        await asyncio.sleep(ASK_AGAIN_S)


def _by_leader(cluster: ClusterMetadata, topics: Collection[str]) -> Mapping[int, Partitions]:
    leaders: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic in (*topics, OFFSETS_TOPIC):
        for number in sorted(cluster.partitions_for_topic(topic) or ()):
            leaders[cluster.leader_for_partition(TopicPartition(topic, number))][topic].append(number)
    return leaders


def _listed(partitions: Partitions) -> list[tuple[str, list[int], dict[int, bytes]]]:
    return [(topic, list(numbers), {}) for topic, numbers in partitions.items()]


def _hanging(answer: DescribeProducersResponseV0, committed: Committed) -> Iterator[Hanging]:
    """Find the transactions that were committed, where they are still open."""
    for topic, partitions, _ in answer.topics:
        for number, error_code, _message, producers, _tags in partitions:
            _check(error_code)
            for producer_id, epoch, _sequence, _last_ms, coordinator_epoch, first_offset, _ in producers:
                is_same = producer_id == committed.producer_id and epoch in committed.epochs
                if is_same and first_offset >= 0:
                    yield Hanging(TopicPartition(topic, number), producer_id, epoch, coordinator_epoch)


async def _commit(client: AIOKafkaClient, node_id: int, hanging: Hanging) -> None:
    log.warning("a committed transaction was open in %s, and is committed there now", hanging.partition)
    marker: tuple[Any, ...] = (
        hanging.producer_id,
        hanging.producer_epoch,
        True,
        _listed({hanging.partition.topic: [hanging.partition.partition]}),
        max(hanging.coordinator_epoch, 0),
        {},
    )
    try:
        answer = await _ask(client, node_id, WriteTxnMarkers([marker], {}))
    except kafka_errors.KafkaError as error:
        raise MarkersUnanswered(repr(error)) from error
    for _producer_id, topics, _ in answer.markers:
        for _topic, partitions, _tags in topics:
            for _number, error_code, _more in partitions:
                _check(error_code)


async def _ask(client: AIOKafkaClient, node_id: int, request: Any) -> Any:
    if not await client.ready(node_id, group=ConnectionGroup.COORDINATION):
        raise kafka_errors.NodeNotReadyError(f"broker {node_id} is away")
    return await client.send(node_id, request, group=ConnectionGroup.COORDINATION)


def _check(error_code: int) -> None:
    if error_code:
        raise kafka_errors.for_code(error_code)()
