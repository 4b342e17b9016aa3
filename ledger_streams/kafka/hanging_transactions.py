"""Hanging transactions (KIP-664): the coordinator has committed them, and partitions still have them open.

A broker that ends a transaction skips the partitions that have no leader at that moment, and records the
transaction as complete.  For a lone broker that restarts these are all partitions.  The next producer with
the same transactional id would end the open part as its own transaction ends, and could so abort what was
committed.  A start of a producer therefore first asks the coordinator for the outcome, and writes the
missing markers.

A partition cannot tell two transactions of one producer epoch apart.  A marker is written only when the
epoch can begin no further transaction: its producer is out of use, or fenced by the start of the next one
(`transactional_producer`).  A partition that a newer epoch has written to refuses the marker.  The fencing
start also overwrites the outcome at the coordinator.  The start therefore stores the outcome in the parity
of the transaction time-out, which the coordinator keeps and returns.

Reproduction: tests/integration/test_hanging_transactions.py.
Remove when: those tests pass without this module, that is, brokers write all markers after a restart.
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

from ledger_streams.kafka.hanging_transaction_messages import (
    DescribeProducers,
    DescribeProducersResponseV0,
    DescribeTransactions,
    WriteTxnMarkers,
)
from ledger_streams.kafka.missing_rights import DENIED, NOT_GRANTED, UNKNOWN, go_without
from ledger_streams.kafka.requests import ASK_AGAIN_S, COORDINATOR_MISSING

log = logging.getLogger(__name__)

OFFSETS_TOPIC: Final = "__consumer_offsets"
COMMITTED: Final = "CompleteCommit"
COMMITTING: Final = "PrepareCommit"
NO_PRODUCER: Final = -1
STARTED: Final = "Empty"
"""A producer has started, and begun no transaction yet."""
UNKNOWN_ID: Final = 105
"""TRANSACTIONAL_ID_NOT_FOUND: the id was never used, or not for a week."""
Partitions = Mapping[str, Collection[int]]


class MarkersUnanswered(kafka_errors.KafkaError):
    """A broker has not answered WriteTxnMarkers, and may still commit whatever is open later.

    The producer must begin no further transaction in its current epoch.
    """


class MarkersDenied(kafka_errors.KafkaError):
    """Only an administrator of the cluster may send WriteTxnMarkers; the producer has to end it itself."""


class Committed(NamedTuple):
    """A producer whose last transaction was committed, and the epochs that have committed ones only."""

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

    The outcome survives a later start that fenced the producer and was killed before it wrote the missing
    markers.  Returns None also when the broker does not support or allow the question.
    """
    state, timeout_ms, producer_id, epoch = await _decided(client, transactional_id)
    if state == COMMITTED:
        return Committed(producer_id, range(epoch, epoch + 1))
    if state == STARTED and timeout_ms % 2:
        return Committed(producer_id, range(epoch))
    return None


async def complete_hanging_transactions(
    client: AIOKafkaClient, committed: Committed, topics: Collection[str]
) -> None:
    """Write the missing commit markers of a producer in `topics` and in the consumer offsets topic.

    The epochs must be out of use, see above.  Partitions without a leader, and those that the broker does not
    allow to look at, are left to `transaction_settlement`.  Raises KafkaError: one of LEADER_MOVING after
    a partition has lost its leader, MarkersUnanswered, MarkersDenied.
    """
    cluster = await client.fetch_all_metadata()
    leaders, _ = by_leader(cluster, (*topics, OFFSETS_TOPIC))  # partitions without a leader are settled later
    for node_id, partitions in leaders.items():
        try:
            answer = await ask(client, node_id, DescribeProducers(listed(partitions), {}))
        except NOT_GRANTED as error:
            go_without("DescribeProducers", error, "all partitions get a marker, hanging or not")
            continue
        for hanging in list(_hanging(answer, committed)):
            await _commit(client, node_id, hanging)


async def _decided(client: AIOKafkaClient, transactional_id: str) -> tuple[str, int, int, int]:
    """Return state, time-out, producer and epoch, once the coordinator has completed a prepared commit."""
    while True:
        with suppress(*COORDINATOR_MISSING):
            node_id = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
            try:
                answer = await ask(client, node_id, DescribeTransactions([transactional_id], {}))
            except UNKNOWN as error:
                go_without(
                    "DescribeTransactions", error, "hanging transactions are aborted, even committed ones"
                )
                return "", 0, NO_PRODUCER, NO_PRODUCER
            ((error_code, _id, state, timeout_ms, _start, producer_id, epoch, _topics, _tags),) = (
                answer.states
            )
            if error_code != UNKNOWN_ID:
                _check(error_code)
            if state != COMMITTING:
                return state, timeout_ms, producer_id, epoch
        await asyncio.sleep(ASK_AGAIN_S)


def has_leader(cluster: ClusterMetadata, partition: TopicPartition) -> bool:
    """Tell whether a broker leads the partition, as far as the cluster's metadata says."""
    node_id = cluster.leader_for_partition(partition)
    return node_id is not None and node_id >= 0


def by_leader(
    cluster: ClusterMetadata, topics: Collection[str]
) -> tuple[Mapping[int, Partitions], frozenset[TopicPartition]]:
    """Return the partitions of topics by the broker that leads them, and those without a leader."""
    leaders: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    not_led: set[TopicPartition] = set()
    for topic in topics:
        for number in sorted(cluster.partitions_for_topic(topic) or ()):
            partition = TopicPartition(topic, number)
            if has_leader(cluster, partition):
                leaders[cluster.leader_for_partition(partition)][topic].append(number)
            else:
                not_led.add(partition)
    return leaders, frozenset(not_led)


def listed(partitions: Partitions) -> list[tuple[str, list[int], dict[int, bytes]]]:
    """Return partitions as a request names them."""
    return [(topic, list(numbers), {}) for topic, numbers in partitions.items()]


def told(answer: DescribeProducersResponseV0) -> Iterator[tuple[TopicPartition, int, Any]]:
    """Yield the error code and the producers that a broker returns for each partition."""
    for topic, partitions, _ in answer.topics:
        for number, error_code, _message, producers, _tags in partitions:
            yield TopicPartition(topic, number), error_code, producers


def open_of(producers: Any, producer_id: int) -> Iterator[tuple[int, int]]:
    """Yield the epoch, and the coordinator's, of each transaction of the producer that is open."""
    for of_producer, epoch, _sequence, _last_ms, coordinator_epoch, first_offset, _tags in producers:
        if of_producer == producer_id and first_offset >= 0:
            yield epoch, coordinator_epoch


def _hanging(answer: DescribeProducersResponseV0, committed: Committed) -> Iterator[Hanging]:
    """Find the transactions that were committed, where they are still open."""
    for partition, error_code, producers in told(answer):
        if issubclass(kafka_errors.for_code(error_code), DENIED):
            continue  # transaction_settlement logs it, and ends the transaction by a producer
        _check(error_code)
        for epoch, coordinator_epoch in open_of(producers, committed.producer_id):
            if epoch in committed.epochs:
                yield Hanging(partition, committed.producer_id, epoch, coordinator_epoch)


async def _commit(client: AIOKafkaClient, node_id: int, hanging: Hanging) -> None:
    log.warning("Committed transaction hangs in %s; writing its commit marker.", hanging.partition)
    marker: tuple[Any, ...] = (
        hanging.producer_id,
        hanging.producer_epoch,
        True,
        listed({hanging.partition.topic: [hanging.partition.partition]}),
        max(hanging.coordinator_epoch, 0),
        {},
    )
    try:
        answer = await ask(client, node_id, WriteTxnMarkers([marker], {}))
    except UNKNOWN as error:
        raise MarkersDenied(repr(error)) from error
    except kafka_errors.KafkaError as error:
        raise MarkersUnanswered(repr(error)) from error
    for _producer_id, topics, _ in answer.markers:
        for _topic, partitions, _tags in topics:
            for _number, error_code, _more in partitions:
                if issubclass(kafka_errors.for_code(error_code), DENIED):
                    raise MarkersDenied(str(hanging.partition))
                _check(error_code)


async def ask(client: AIOKafkaClient, node_id: int, request: Any) -> Any:
    """Send a request to a broker and return its answer; raises NodeNotReadyError while that is away."""
    if not await client.ready(node_id, group=ConnectionGroup.COORDINATION):
        raise kafka_errors.NodeNotReadyError(f"broker {node_id} is away")
    try:
        return await client.send(node_id, request, group=ConnectionGroup.COORDINATION)
    except NotImplementedError as error:  # aiokafka's word for a broker that speaks other versions alone
        raise kafka_errors.UnsupportedVersionError(str(error)) from error


def _check(error_code: int) -> None:
    if error_code:
        raise kafka_errors.for_code(error_code)()
