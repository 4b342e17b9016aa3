"""Transactional producers: how one is started, and thrown away when its transaction did not end well.

Whoever starts the next one, under the same transactional id, has settled what this one has left
open.  So throwing it away is all that is ever done to it, and what aiokafka still says then
of a transaction that is over is taken note of, and is no error.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced

from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 5.0


async def connect(producer: AIOKafkaProducer) -> None:
    """Start a producer, which settles what its predecessor has left open; raises Unavailable, stopped."""
    try:
        async with asyncio.timeout(START_S_MAX):
            await producer.start()
    except (KafkaError, OSError) as error:
        await discard(producer)
        raise Unavailable(dependency="kafka", detail=f"{type(error).__name__}: {error}") from error


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
