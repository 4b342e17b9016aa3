"""Log reader: reads topics to their end for commands; committed records only, without a consumer group.

The end is the last stable offset at the time of the request.  Transaction markers take offsets as well.
A partition is therefore read when its *position* is at the end; a record at that offset may never come.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.client_options import Bootstrap, options, unavailable
from ledger_streams.kafka.requests import REQUEST_TIMEOUT_MS

Partition: TypeAlias = tuple[str, int]
Records: TypeAlias = "Sequence[Any]"
"""aiokafka's ConsumerRecord: key and value are bytes or None."""
RECORDS_A_POLL_MAX: Final = 5_000
POLL_MS: Final = 100


class KafkaLog:
    """The log of one Kafka; made by `opened_log`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def ends(self, topics: Collection[str]) -> dict[Partition, int]:
        """Return where each partition of the topics ends for a reader of committed records."""
        partitions = await self._partitions(topics)
        ends = await self._consumer.end_offsets(partitions)
        return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    async def begins(self, topics: Collection[str]) -> dict[Partition, int]:
        """Return where each partition of the topics begins: what was before has been deleted."""
        begins = await self._consumer.beginning_offsets(await self._partitions(topics))
        return {(tp.topic, tp.partition): begin for tp, begin in begins.items()}

    async def read(
        self, ends: Mapping[Partition, int], *, begin: Mapping[Partition, int] | None = None
    ) -> AsyncGenerator[tuple[Partition, Records], None]:
        """Yield the records up to `ends`, in order within each partition.

        A partition begins at `begin`, or where its log does, whichever is later.
        """
        if not ends:
            return  # aiokafka's fetcher can hang after an empty assignment right before a close
        partitions = [TopicPartition(*partition) for partition in ends]
        self._consumer.assign(partitions)
        beginnings = await self._consumer.beginning_offsets(partitions)
        for tp in partitions:
            self._consumer.seek(tp, max(beginnings[tp], (begin or {}).get(tuple(tp), 0)))
        behind = set(partitions)
        while behind := {tp for tp in behind if not await self._is_read(tp, ends[tuple(tp)])}:
            polled = await self._consumer.getmany(*behind, timeout_ms=POLL_MS, max_records=RECORDS_A_POLL_MAX)
            for tp, records in polled.items():
                if within := [record for record in records if record.offset < ends[tuple(tp)]]:
                    yield tuple(tp), within

    async def _is_read(self, tp: TopicPartition, end: int) -> bool:
        position: int = await self._consumer.position(tp)
        if position >= end:
            self._consumer.pause(tp)
        return position >= end

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        # aiokafka's public partitions_for_topic covers only subscribed topics
        cluster = await self._consumer._client.fetch_all_metadata()
        if missing := sorted(set(topics) - cluster.topics()):
            raise Unavailable(dependency="kafka", detail=f"no such topic: {', '.join(missing)}")
        numbers = {topic: cluster.partitions_for_topic(topic) or () for topic in topics}
        return [TopicPartition(topic, number) for topic in topics for number in sorted(numbers[topic])]


def client_of(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    """Return a consumer's client, for requests that aiokafka's consumer has no method for."""
    return consumer._client


def log_reader(bootstrap: Bootstrap, **further: Any) -> AIOKafkaConsumer:
    """Return a consumer without a group, not yet started; the caller assigns partitions and seeks."""
    return AIOKafkaConsumer(
        **options(bootstrap),
        enable_auto_commit=False,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **further,
    )


@asynccontextmanager
async def opened_log(bootstrap: Bootstrap) -> AsyncIterator[KafkaLog]:
    """Connect for reading; raises Unavailable while Kafka is away."""
    consumer = log_reader(
        bootstrap, isolation_level="read_committed", auto_offset_reset="none", fetch_max_wait_ms=50
    )
    try:
        await consumer.start()
        yield KafkaLog(consumer)
    except BrokenPipeError:  # of what the caller writes to: `| head` has had enough; Kafka's are KafkaErrors
        raise
    except (KafkaError, OSError) as error:
        raise await unavailable(bootstrap, error) from error
    finally:
        await close_within("the log's reader", consumer.stop())
