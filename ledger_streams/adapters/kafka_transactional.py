"""Transactional producers: how one is started, settles, and is thrown away when a transaction ended badly.

Whoever starts the next one, under the same transactional id, has settled what this one has left
open.  So throwing it away is all that is ever done to it, and what aiokafka still says then
of a transaction that is over is taken note of, and is no error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import RecordMetadata

from ledger_streams.adapters.kafka_forgotten import (
    commit_forgotten,
    last_committed,
    led,
    noted_timeout_ms,
)
from ledger_streams.adapters.kafka_requests import when_led
from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 5.0


class OffsetUnknown(KafkaError):  # type: ignore[misc]
    """The broker has a record and did not say at which offset."""


async def connect(producer: AIOKafkaProducer, topics: Collection[str]) -> None:
    """Start a producer, which settles what its predecessor has left open in `topics`.

    Raises Unavailable, with the producer stopped.
    """
    try:
        async with asyncio.timeout(START_S_MAX):
            await start_settled(producer, topics)
    except (KafkaError, OSError) as error:
        await discard(producer)
        detail = "another one has begun" if is_fenced(error) else f"{type(error).__name__}: {error}"
        raise Unavailable(dependency="kafka", detail=detail) from error


async def start_settled(
    producer: AIOKafkaProducer, topics: Collection[str], group_id: str | None = None
) -> None:
    """Start a producer, and end in `topics`, and in the group's offsets, what its predecessor has left open.

    What was committed is committed; all else is aborted.  The start fences a predecessor that is still
    alive, in another process, before anything is ended in its name: no transaction that it may yet
    begin is touched.  Raises KafkaError: one of LEADER_MOVING when a partition has no leader for
    long, since it would be skipped.
    """
    asking = AIOKafkaClient(bootstrap_servers=producer.client._bootstrap_servers)
    manager = producer._txn_manager
    try:
        await asking.bootstrap()
        committed = await last_committed(asking, manager.transactional_id)
    finally:
        await asking.close()
    manager.transaction_timeout_ms = noted_timeout_ms(
        manager.transaction_timeout_ms, is_committed=committed is not None
    )
    await producer.start()
    if committed is not None:
        await when_led(lambda: commit_forgotten(producer.client, committed, topics))
    await _abort_the_rest(producer, topics, group_id)


async def _abort_the_rest(
    producer: AIOKafkaProducer, topics: Collection[str], group_id: str | None = None
) -> None:
    """Abort what the broker has aborted, and forgotten to end.

    To start is not enough, see `kafka_forgotten`: whoever reads committed records would wait there for
    ever.  An empty transaction over all partitions, aborted, has them marked.
    """
    cluster = await when_led(lambda: led(producer.client, topics))
    await producer.begin_transaction()
    for topic in topics:
        for number in cluster.partitions_for_topic(topic) or ():
            producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, number))
    if group_id is not None:
        await producer._txn_manager.add_offsets_to_txn({}, group_id)
    await producer.abort_transaction()


async def discard(producer: AIOKafkaProducer) -> None:
    """Disconnect; what is left open is settled by the next one, or by the broker's time-out."""
    ended = producer._txn_manager._transaction_waiter
    if ended is not None:
        ended.add_done_callback(noted)
    try:
        async with asyncio.timeout(STOP_S_MAX):
            await producer.stop()
    except (KafkaError, TimeoutError, AssertionError) as error:
        # aiokafka's own shutdown trips over a sender that died; its sockets are closed all the same
        log.info("a producer did not stop cleanly: %r", error)
        await producer.client.close()


def is_fenced(error: KafkaError) -> bool:
    """Tell whether the broker has refused the producer for a later one, or for a transaction timed out."""
    return isinstance(error, ProducerFenced) or isinstance(error.__cause__, ProducerFenced)


def placed(record: RecordMetadata) -> RecordMetadata:
    """Return an acknowledgement that says where its record stands; raises OffsetUnknown for any other.

    A broker answers -1 for a batch that it already has and whose place it has forgotten.
    """
    if record.offset < 0:
        raise OffsetUnknown(f"{record.topic}-{record.partition} has a record at an offset that is not known")
    return record


def noted(future: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody will ask for, since another one has ended the transaction."""
    if not future.cancelled():
        future.exception()
