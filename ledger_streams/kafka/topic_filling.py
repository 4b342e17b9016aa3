"""Filling empty topics: all records and all offsets in one transaction, or none.

All fillings of a system have one transactional id: who begins later fences who is under way
and has what that has left open aborted.  So a filling that was killed has written nothing
that anybody reads, or everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from ledger_streams.errors import Unavailable
from ledger_streams.kafka.client_options import Bootstrap, options
from ledger_streams.kafka.log_reader import Partition
from ledger_streams.kafka.lz4 import compress_fast
from ledger_streams.kafka.transactional_producer import connect, discard, placed

TRANSACTION_TIMEOUT_MS: Final = 900_000
"""As long as a broker allows by default: some ten million payments are written in it."""
RECORDS_AT_ONCE: Final = 5_000
REQUEST_BYTES_MAX: Final = 2 << 20
RETRY_BACKOFF_MS: Final = 20


class Filled(NamedTuple):
    """A record to be written."""

    partition: Partition
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Filling:
    """One transaction, aborted unless it is committed; use as `async with`."""

    def __init__(self, bootstrap: Bootstrap, *, transactional_id: str, topics: Collection[str]) -> None:
        self._topics = topics
        self.nexts: dict[Partition, int] = {}
        """The offset after the last record written, by partition."""
        compress_fast()
        self._producer = AIOKafkaProducer(
            **options(bootstrap),
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_request_size=REQUEST_BYTES_MAX,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )

    async def __aenter__(self) -> Self:
        """Abort the open transaction of an earlier filling; raises Unavailable while Kafka is away."""
        await connect(self._producer, self._topics)
        return self

    async def __aexit__(self, *_: object) -> None:
        await discard(self._producer)

    async def begin(self) -> None:
        """Begin the transaction."""
        await self._producer.begin_transaction()

    async def write(self, records: Sequence[Filled]) -> None:
        """Write records, in order within each partition."""
        try:
            for first in range(0, len(records), RECORDS_AT_ONCE):
                some = records[first : first + RECORDS_AT_ONCE]
                sent = [await self._send(record) for record in some]
                for record, delivered in zip(some, await asyncio.gather(*sent), strict=True):
                    self.nexts[record.partition] = placed(delivered).offset + 1
        except KafkaError as error:
            raise Unavailable(dependency="kafka", detail=f"{type(error).__name__}: {error}") from error

    async def commit(self, groups: Mapping[str, Mapping[Partition, tuple[int, str]]]) -> None:
        """Commit the records with the groups' offsets and their metadata."""
        try:
            for group_id, offsets in groups.items():
                # aiokafka adds only the first group to a transaction; remove when it adds each
                self._producer._txn_manager._txn_consumer_group = None
                await self._producer.send_offsets_to_transaction(
                    {TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()},
                    group_id,
                )
            await self._producer.commit_transaction()
        except KafkaError as error:
            detail = f"{type(error).__name__}: {error}; call it again to find out whether it was written"
            raise Unavailable(dependency="kafka", detail=detail) from error

    async def _send(self, record: Filled) -> asyncio.Future[Any]:
        topic, number = record.partition
        delivered: asyncio.Future[Any] = await self._producer.send(
            topic, record.value, record.key, partition=number, headers=list(record.headers)
        )
        return delivered
