"""Transactional producers: how one is started, settles, and is thrown away when a transaction ended badly.

The next producer under the same transactional id settles its predecessor's open transaction at its start.
A failed producer is therefore only discarded.  Errors that aiokafka reports for its ended transaction are
retrieved and ignored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, ProducerFenced
from aiokafka.structs import RecordMetadata

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.client_options import options_of
from ledger_streams.kafka.hanging_transactions import (
    MarkersDenied,
    complete_hanging_transactions,
    last_committed,
    noted_timeout_ms,
)
from ledger_streams.kafka.missing_rights import go_without, missing_right
from ledger_streams.kafka.requests import when_led
from ledger_streams.kafka.transaction_settlement import NOTHING_OWED, Owed, settle

log = logging.getLogger(__name__)

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 5.0


class OffsetUnknown(KafkaError):
    """The broker has acknowledged a record without its offset."""


async def connect(producer: AIOKafkaProducer, topics: Collection[str]) -> None:
    """Start a producer, which settles what its predecessor has left open in `topics`.

    Raises Unavailable, with the producer stopped.
    """
    try:
        async with asyncio.timeout(START_S_MAX):
            if not_led := await start_settled(producer, topics):
                raise LeaderNotAvailableError(f"{min(not_led)} has no leader")
    except (KafkaError, OSError) as error:
        await discard(producer)
        detail = missing_right(error) or f"{type(error).__name__}: {error}"
        detail = "another one has begun" if is_fenced(error) else detail
        raise Unavailable(dependency="kafka", detail=detail) from error


async def start_settled(
    producer: AIOKafkaProducer,
    topics: Collection[str],
    group_id: str | None = None,
    *,
    owed: Owed = NOTHING_OWED,
) -> Owed:
    """Start a producer and end its predecessor's open transactions in `topics` and in the group's offsets.

    A transaction whose commit was decided is committed, all others are aborted; partitions without an open
    transaction get no record.  The start first fences a predecessor that still runs in another process, so
    no transaction that it may begin later is touched.

    `owed` has the partitions that an earlier start could not settle.  Returned are those without a leader
    now: nothing may be written to them.  Raises KafkaError.
    """
    asking = AIOKafkaClient(**options_of(producer.client))
    manager = producer._txn_manager
    try:
        await asking.bootstrap()
        committed = await when_led(lambda: last_committed(asking, manager.transactional_id))
    finally:
        await close_within("the client that settles", asking.close())
    manager.transaction_timeout_ms = noted_timeout_ms(
        manager.transaction_timeout_ms, is_committed=committed is not None
    )
    await producer.start()
    if committed is not None:
        try:
            await when_led(lambda: complete_hanging_transactions(producer.client, committed, topics))
        except MarkersDenied as error:
            go_without("WriteTxnMarkers", error, "the producer itself commits its hanging transactions")
    return await settle(producer, topics, group_id, committed=committed, owed=owed)


async def discard(producer: AIOKafkaProducer) -> None:
    """Disconnect; the next producer or the broker's time-out ends the open transaction."""
    ended = producer._txn_manager._transaction_waiter
    if ended is not None:
        ended.add_done_callback(noted)
    if not await close_within("a transactional producer", producer.stop(), within_s=STOP_S_MAX):
        # aiokafka's own shutdown trips over a sender that died; its sockets are closed all the same
        await close_within("its connections", producer.client.close())


def is_fenced(error: KafkaError) -> bool:
    """Tell whether the broker has refused the producer for a later one, or for a transaction timed out."""
    return isinstance(error, ProducerFenced) or isinstance(error.__cause__, ProducerFenced)


def placed(record: RecordMetadata) -> RecordMetadata:
    """Return an acknowledgement that has an offset; raises OffsetUnknown for one without.

    A broker answers -1 for a duplicate batch whose offset is no longer in its cache.
    """
    if record.offset < 0:
        raise OffsetUnknown(f"{record.topic}-{record.partition} has a record at an offset that is not known")
    return record


def noted(future: asyncio.Future[Any]) -> None:
    """Retrieve a failure that is not awaited, since another one has ended the transaction."""
    if not future.cancelled():
        future.exception()
