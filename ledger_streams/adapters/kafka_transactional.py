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
from aiokafka.errors import KafkaError, LeaderNotAvailableError, ProducerFenced

from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 5.0


OFFSETS_TOPIC: Final = "__consumer_offsets"


async def connect(producer: AIOKafkaProducer, topics: Collection[str]) -> None:
    """Start a producer, which settles what its predecessor has left open in `topics`.

    Raises Unavailable, with the producer stopped.
    """
    try:
        async with asyncio.timeout(START_S_MAX):
            await producer.start()
            await settle(producer, topics)
    except (KafkaError, OSError) as error:
        await discard(producer)
        detail = "another one has begun" if is_fenced(error) else f"{type(error).__name__}: {error}"
        raise Unavailable(dependency="kafka", detail=detail) from error


async def settle(producer: AIOKafkaProducer, topics: Collection[str], group_id: str | None = None) -> None:
    """End in `topics`, and in the group's offsets, what the broker may have forgotten to end.

    To start is not enough: a broker that ends a transaction skips the partitions that have no leader
    just then, which are all of a lone broker that comes back, and takes it for over.  Whoever reads
    committed records waits there for ever.  An empty transaction over all of them, aborted, has them
    marked.  Raises LeaderNotAvailableError while one has no leader: it would be skipped again.
    """
    cluster = await producer.client.fetch_all_metadata()
    for topic in (*topics, OFFSETS_TOPIC):
        if cluster.partitions_for_topic(topic) != cluster.available_partitions_for_topic(topic):
            raise LeaderNotAvailableError(f"a partition of {topic} has no leader")
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


def noted(future: asyncio.Future[Any]) -> None:
    """Take note of a failure that nobody will ask for, since another one has ended the transaction."""
    if not future.cancelled():
        future.exception()
