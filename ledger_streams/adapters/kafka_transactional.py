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

from ledger_streams.adapters.bounded_close import close_within
from ledger_streams.adapters.kafka_forgotten import commit_forgotten, led
from ledger_streams.adapters.kafka_requests import when_led
from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 5.0


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

    What was committed is committed; all else is aborted.  Raises KafkaError: one of LEADER_MOVING
    when a partition has no leader for long, since it would be skipped.
    """
    asking = AIOKafkaClient(bootstrap_servers=producer.client._bootstrap_servers)
    transactional_id = producer._txn_manager.transactional_id
    try:
        await asking.bootstrap()
        await when_led(lambda: commit_forgotten(asking, transactional_id, topics))
    finally:
        await close_within("the client that settles", asking.close())
    await producer.start()
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
    if not await close_within("a transactional producer", producer.stop(), within_s=STOP_S_MAX):
        # aiokafka's own shutdown trips over a sender that died; its sockets are closed all the same
        await close_within("its connections", producer.client.close())


def is_fenced(error: KafkaError) -> bool:
    """Tell whether the broker has refused the producer for a later one, or for a transaction timed out."""
    return isinstance(error, ProducerFenced) or isinstance(error.__cause__, ProducerFenced)


def noted(future: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody will ask for, since another one has ended the transaction."""
    if not future.cancelled():
        future.exception()
