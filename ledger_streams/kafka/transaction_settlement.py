"""Settlement: a started producer ends its predecessors' open transactions, and no others.

Its start has fenced the predecessors, so they add nothing more.  The producer ends an open transaction of the
same producer id by an empty transaction over just those partitions.  It commits those of an epoch whose
ended transactions were all committed, and aborts the others.  This takes the right to write to
the topics, and no right on the cluster.

Where the broker does not allow DescribeProducers, the empty transaction covers all partitions concerned.
The group's offsets are always in it, at the cost of one marker, since describing the offsets topic takes a
right on that internal topic.

A partition without a leader is not settled.  The outcome known when it was first found so is kept for it,
since later transactions of the producer tell nothing about it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaProducer, TopicPartition

from ledger_streams.kafka.hanging_transaction_messages import DescribeProducers
from ledger_streams.kafka.hanging_transactions import Committed, ask, by_leader, listed, open_of, told
from ledger_streams.kafka.missing_rights import DENIED, NOT_GRANTED, go_without
from ledger_streams.kafka.requests import when_led
from ledger_streams.metrics import KAFKA_HANGING_ENDED

log = logging.getLogger(__name__)
Partitions = frozenset[TopicPartition]
NO_PARTITIONS: Partitions = frozenset()


Owed: TypeAlias = Mapping[TopicPartition, Committed | None]
"""Partitions that could not be settled, and what was committed when they were first found so."""
NOTHING_OWED: Final[Owed] = MappingProxyType({})


class Found(NamedTuple):
    """The answers of the brokers on a producer id's transactions."""

    open: Mapping[TopicPartition, int] = MappingProxyType({})
    """The epoch of the transaction that is open in a partition."""
    untold: Partitions = NO_PARTITIONS
    """Of these nothing is told."""
    not_led: Partitions = NO_PARTITIONS
    """These cannot be asked now."""


async def settle(
    producer: AIOKafkaProducer,
    topics: Collection[str],
    group_id: str | None = None,
    *,
    committed: Committed | None,
    owed: Owed = NOTHING_OWED,
) -> Owed:
    """End in `topics`, and in the group's offsets, what is open from before the producer's start.

    Returns the partitions that have no leader even after a while: nothing may be written there before it is
    settled.  Raises KafkaError.
    """
    found = await found_open(producer, topics)
    commits = {place for place, epoch in found.open.items() if _is_in(owed.get(place, committed), epoch)}
    aborts = found.open.keys() - commits
    _say_ended("committed", commits)
    _say_ended("aborted", aborts)
    commits |= {place for place in found.untold if owed.get(place, committed) is not None}
    aborts |= found.untold - commits
    is_committed = committed is not None
    if commits or (is_committed and group_id is not None):
        await end_in(producer, commits, group_id if is_committed else None, is_committed=True)
    if aborts or (not is_committed and group_id is not None):
        await end_in(producer, aborts, None if is_committed else group_id, is_committed=False)
    return {place: owed.get(place, committed) for place in found.not_led}


async def commit_own(producer: AIOKafkaProducer, topics: Collection[str], own: Committed) -> None:
    """Commit the transactions in `topics` that this running producer has left open; raises KafkaError.

    Transactions of earlier epochs stay open: the next start knows their outcome.
    """
    found = await found_open(producer, topics)
    if places := {place for place, epoch in found.open.items() if epoch in own.epochs}:
        _say_ended("committed", places)
        await end_in(producer, places, None, is_committed=True)


def _say_ended(ending: str, places: Collection[TopicPartition]) -> None:
    if places:
        KAFKA_HANGING_ENDED.inc(len(places))
        log.warning("A hanging transaction is %s now in %s.", ending, _places(places))


def _is_in(committed: Committed | None, epoch: int) -> bool:
    return committed is not None and epoch in committed.epochs


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
    leaders, not_led = by_leader(cluster, topics)
    still_open: dict[TopicPartition, int] = {}
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
        for place, error_code, producers in told(answer):
            if not error_code:
                for epoch, _ in open_of(producers, producer._txn_manager.producer_id):
                    still_open[place] = epoch
                continue
            refused = kafka_errors.for_code(error_code)
            if not issubclass(refused, DENIED):
                raise refused(_place(place))
            _say_untold(refused())
            untold.add(place)
    return Found(still_open, frozenset(untold), not_led)


def _say_untold(error: BaseException) -> None:
    consequence = "each start of a producer writes a marker to every partition that it may not describe"
    go_without("DescribeProducers", error, consequence)


def _place(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"


def _places(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(sorted(map(_place, partitions)))
