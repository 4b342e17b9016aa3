"""Settling: a producer that has started ends what is still open of its predecessors, and nothing else.

The start has fenced them, so that nothing is added.  Where a transaction of the same producer id is open it
is ended by an empty transaction over just those partitions, which ends them as it ends itself: committed if
the last transaction was, else aborted.  That takes the right to write there, and none on the cluster.

Where the broker does not tell what is open, the empty transaction goes over all partitions of which it does
not tell.  A group's offsets are always in it, at one marker: to be told of them takes a right on the broker's
own topic.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaProducer, TopicPartition

from ledger_streams.adapters.kafka_forgotten import ask, listed
from ledger_streams.adapters.kafka_marker_messages import DescribeProducers, DescribeProducersResponseV0
from ledger_streams.adapters.kafka_requests import when_led
from ledger_streams.adapters.kafka_rights import DENIED, NOT_GRANTED, go_without
from ledger_streams.metrics import KAFKA_HANGING_ENDED

log = logging.getLogger(__name__)
Partitions = frozenset[TopicPartition]
NO_PARTITIONS: Partitions = frozenset()


class Found(NamedTuple):
    """What the brokers tell of a producer id's transactions."""

    open: Partitions = NO_PARTITIONS
    untold: Partitions = NO_PARTITIONS
    """Of these nothing is told."""
    not_led: Partitions = NO_PARTITIONS
    """These cannot be asked now."""


async def settle(
    producer: AIOKafkaProducer, topics: Collection[str], group_id: str | None = None, *, is_committed: bool
) -> Partitions:
    """End in `topics`, and in the group's offsets, what is open from before the producer's start.

    Returns the partitions that have no leader even after a while: nothing may be written there before it is
    settled.  Raises KafkaError.
    """
    found = await found_open(producer, topics)
    partitions = found.open | found.untold
    if found.open:
        KAFKA_HANGING_ENDED.inc(len(found.open))
        ending, places = (
            "committed" if is_committed else "aborted",
            ", ".join(sorted(map(_place, found.open))),
        )
        log.warning("A hanging transaction is %s now in %s.", ending, places)
    if partitions or group_id is not None:
        await end_in(producer, partitions, group_id, is_committed=is_committed)
    return found.not_led


async def end_in(
    producer: AIOKafkaProducer,
    partitions: Collection[TopicPartition],
    group_id: str | None,
    *,
    is_committed: bool,
) -> None:
    """Make an empty transaction over partitions, and the group's offsets, and end it."""
    await producer.begin_transaction()
    for partition in partitions:
        producer._txn_manager.maybe_add_partition_to_txn(partition)
    if group_id is not None:
        await producer._txn_manager.add_offsets_to_txn({}, group_id)
    await (producer.commit_transaction() if is_committed else producer.abort_transaction())


async def found_open(producer: AIOKafkaProducer, topics: Collection[str]) -> Found:
    """Ask the leaders of all partitions for open transactions of the producer's id, of any epoch."""
    seen: list[Found] = []

    async def ask_leaders() -> Found:
        seen.append(await _ask_leaders(producer, topics))
        if seen[-1].not_led:
            raise kafka_errors.LeaderNotAvailableError(_places(seen[-1].not_led))
        return seen[-1]

    try:
        return await when_led(ask_leaders)
    except kafka_errors.LeaderNotAvailableError as error:
        log.warning("Partitions without a leader are settled before they are written to: %s", error)
        return seen[-1]


async def _ask_leaders(producer: AIOKafkaProducer, topics: Collection[str]) -> Found:
    cluster = await producer.client.fetch_all_metadata()
    leaders: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    not_led: set[TopicPartition] = set()
    for topic in topics:
        for number in sorted(cluster.partitions_for_topic(topic) or ()):
            node_id = cluster.leader_for_partition(TopicPartition(topic, number))
            if node_id is None or node_id < 0:
                not_led.add(TopicPartition(topic, number))
            else:
                leaders[node_id][topic].append(number)
    still_open: set[TopicPartition] = set()
    untold: set[TopicPartition] = set()
    for node_id, partitions in leaders.items():
        try:
            answer = await ask(producer.client, node_id, DescribeProducers(listed(partitions), {}))
        except NOT_GRANTED as error:
            _say_untold(error)
            untold |= {
                TopicPartition(topic, each) for topic, numbers in partitions.items() for each in numbers
            }
            continue
        for place, error_code, producers in _told(answer):
            if not error_code:
                if any(_is_open(each, producer._txn_manager.producer_id) for each in producers):
                    still_open.add(place)
                continue
            refused = kafka_errors.for_code(error_code)
            if not issubclass(refused, DENIED):
                raise refused(_place(place))
            _say_untold(refused())
            untold.add(place)
    return Found(frozenset(still_open), frozenset(untold), frozenset(not_led))


def _told(answer: DescribeProducersResponseV0) -> Iterator[tuple[TopicPartition, int, Any]]:
    for topic, partitions, _ in answer.topics:
        for number, error_code, _message, producers, _tags in partitions:
            yield TopicPartition(topic, number), error_code, producers


def _is_open(told: Any, producer_id: int) -> bool:
    of_producer, _epoch, _sequence, _last_ms, _coordinator_epoch, first_offset, _tags = told
    return bool(of_producer == producer_id and first_offset >= 0)


def _say_untold(error: BaseException) -> None:
    consequence = (
        "every start of a producer writes a marker to each partition of the topics that it is not told of"
    )
    go_without("DescribeProducers", error, consequence)


def _place(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"


def _places(partitions: Partitions) -> str:
    return ", ".join(sorted(map(_place, partitions)))
