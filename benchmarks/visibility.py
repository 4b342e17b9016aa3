"""Visibility: when the outcomes of payments can be read from Kafka and from PostgreSQL.

Kafka: a consumer of committed records has the outcome.  PostgreSQL: the projector commits an
outcome together with its position on payment-events, so the few positions tell of all
payments.  Sampling them every 10 ms makes the times 5 ms too long on average.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.load import KafkaLoad
from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.settings import Settings

SAMPLE_EVERY_S: Final = 0.01
READ_EVERY_S: Final = 0.005
"""Pause between polls, so that the reader takes little of the measured CPU time."""
OUTCOME_S_MAX: Final = 300.0
POSITIONS: Final = "SELECT partition, next_offset FROM projection_positions WHERE topic = $1"


class OutcomePosition(NamedTuple):
    """An outcome's partition and offset, and the time when it was read."""

    at_s: float
    partition: int
    offset: int


class Outcomes:
    """Reads outcomes from payment-events."""

    def __init__(self, reader: AIOKafkaConsumer) -> None:
        self._reader = reader
        self.completed: dict[bytes, OutcomePosition] = {}
        self.failed = 0

    async def read(self, count: int) -> None:
        """Read until `count` payments have ended."""
        deadline_s = time.perf_counter() + OUTCOME_S_MAX
        while (ended := len(self.completed) + self.failed) < count:
            assert time.perf_counter() < deadline_s, f"{ended} of {count} have ended"
            polled = await self._reader.getmany(timeout_ms=1000)
            now_s = time.perf_counter()
            for outcome in (outcome for records in polled.values() for outcome in records):
                if b'"PaymentCompleted"' in outcome.value:
                    self.completed[outcome.key] = OutcomePosition(now_s, outcome.partition, outcome.offset)
                elif b'"PaymentFailed"' in outcome.value:
                    self.failed += 1
            await asyncio.sleep(READ_EVERY_S)


@asynccontextmanager
async def outcomes(settings: Settings) -> AsyncIterator[Outcomes]:
    """Yield a reader of the outcomes from now on."""
    async with KafkaLoad(settings).outcomes() as reader:
        yield Outcomes(reader)


class PositionSample(NamedTuple):
    """Committed and projected offsets of payment-events at one time, by partition."""

    at_s: float
    committed: dict[int, int]
    projected: dict[int, int]


class PositionSampler:
    """Samples the positions of Kafka and PostgreSQL."""

    def __init__(self, settings: Settings, reader: AIOKafkaConsumer, connection: Connection) -> None:
        self._topic = settings.topic(topics.PAYMENT_EVENTS)
        count = topics.spec(topics.PAYMENT_EVENTS).partitions
        self._partitions = [TopicPartition(self._topic, number) for number in range(count)]
        self._reader, self._connection = reader, connection
        self.samples: list[PositionSample] = []

    async def sample(self) -> None:
        """Take a sample now."""
        ends = await self._reader.end_offsets(self._partitions)
        rows = await self._connection.fetch(POSITIONS, self._topic)
        committed = {tp.partition: end for tp, end in ends.items()}
        projected = {row["partition"]: row["next_offset"] for row in rows}
        self.samples.append(PositionSample(time.perf_counter(), committed, projected))

    def committed_s(self) -> float:
        """Return the time of the first sample with all finally committed offsets."""
        return next(sample.at_s for sample in self.samples if sample.committed == self.samples[-1].committed)

    def projected_s(self) -> float:
        """Return the time of the first sample with all records projected (the last offset is a marker)."""
        ends = {number: end - 1 for number, end in self.samples[-1].committed.items() if end}
        return next(sample.at_s for sample in self.samples if _has(sample, ends))

    def visible_s(self, placed: Sequence[OutcomePosition]) -> list[float]:
        """Return for each outcome the time of the first sample in which it is projected."""
        times = [sample.at_s for sample in self.samples]
        numbers = {one.partition for one in placed}
        far = {number: [sample.projected.get(number, 0) for sample in self.samples] for number in numbers}
        return [times[bisect_left(far[one.partition], one.offset + 1)] for one in placed]


@asynccontextmanager
async def sample_positions(settings: Settings) -> AsyncIterator[PositionSampler]:
    """Take samples during the block, and one at the end."""
    is_over = asyncio.Event()

    async def go_on(sampler: PositionSampler) -> None:
        while not is_over.is_set():
            await sampler.sample()
            await asyncio.sleep(SAMPLE_EVERY_S)
        await sampler.sample()

    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        connection = await asyncpg.connect(settings.postgres)
        sampler = PositionSampler(settings, reader, connection)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(go_on(sampler))
                try:
                    yield sampler
                finally:
                    is_over.set()
        finally:
            await connection.close()


def _has(sample: PositionSample, ends: dict[int, int]) -> bool:
    return all(sample.projected.get(number, 0) >= end for number, end in ends.items())
