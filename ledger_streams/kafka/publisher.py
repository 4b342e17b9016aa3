"""The publisher: records to Kafka, acknowledged by all in-sync replicas.

Idempotent, so the client repeats a batch for as long as it takes and the log has it
once; aiokafka keeps one batch per broker in flight, so order survives repetition.
A caller does not wait as long: after `timeout_s` it is told `Unavailable`, and its
records may still arrive.  All that is published may be published again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.client_options import Bootstrap, options, unavailable
from ledger_streams.kafka.lz4 import compress_fast
from ledger_streams.kafka.requests import REQUEST_TIMEOUT_MS
from ledger_streams.ports import Message

log = logging.getLogger(__name__)


class KafkaPublisher:
    """`ports.Publisher` on Kafka; use as `async with`, or `start` and `stop`."""

    def __init__(
        self,
        bootstrap: Bootstrap,
        *,
        clock: BrokerClock,
        client_id: str = "ledger-publisher",
        timeout_s: float = 30.0,
    ) -> None:
        compress_fast()
        self._bootstrap = bootstrap
        self._clock = clock
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect, unless connected."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._started()
        except (KafkaError, OSError) as error:
            raise await unavailable(self._bootstrap, error) from error

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if not await close_within("the publisher", producer.stop(), within_s=self._timeout_s):
            log.warning("Kafka unavailable at close: records without an acknowledgement are dropped")
            await close_within("the publisher's connections", producer.client.close())

    async def publish(self, messages: Sequence[Message]) -> None:
        """Send all, then wait for all acknowledgements; records of one key keep their order.

        A record above 1 MB is `Rejected`: no broker takes it.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._send(await self._started(), messages)
        except MessageSizeTooLargeError as error:
            raise Rejected(status=413, title="Too large", detail=str(error)) from error
        except (KafkaError, OSError) as error:
            is_full = isinstance(
                error, KafkaTimeoutError
            )  # a broker is away, and its records fill the buffer
            if isinstance(error, KafkaError) and not error.retriable and not is_full:
                await (
                    self.stop()
                )  # an idempotent producer that lost its sequence never recovers: make another
            raise _unavailable(error) from error

    async def _send(self, producer: AIOKafkaProducer, messages: Sequence[Message]) -> None:
        acknowledged = []
        for message in messages:
            key, value = message.key.encode(), message.value
            acknowledged.append(await producer.send(message.topic, value=value, key=key))
        await asyncio.gather(*acknowledged)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **options(self._bootstrap),
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    linger_ms=1,
                    request_timeout_ms=REQUEST_TIMEOUT_MS,
                )
                self._clock.listen(producer)
                try:
                    await producer.start()
                except BaseException:  # a cancelled start, too, leaves connections to be closed
                    await close_within("the publisher", producer.stop())
                    raise
                self._producer = producer
            return self._producer


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(dependency="kafka", detail=f"{type(error).__name__}: {error}")
