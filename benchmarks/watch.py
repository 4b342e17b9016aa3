"""Watch: observes a contender from outside, from its start of work to its last committed outcome.

During the run it requests only offsets, so that no consumer takes the measured CPU time.  An
outcome is committed when the last stable offset is beyond it; the time is that of the first
sample with the final offset.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.backlog import cpu_s
from benchmarks.outcome_check import STILL_S_MAX, WrongOutcome, partitions_of
from tests.live import Process

SAMPLE_EVERY_S: Final = 0.02
"""Interval of samples; each costs the broker about 1 ms of CPU time."""
BEGINS_S_MAX: Final = 120.0


class PositionSample(NamedTuple):
    """One sample: the contender's CPU time and the committed offset of its outcomes."""

    at_s: float
    cpu_s: float
    committed: int


class Watch:
    """Samples a contender and the topic of its outcomes."""

    def __init__(self, contender: Process, reader: AIOKafkaConsumer, outcomes: list[TopicPartition]) -> None:
        self._contender, self._reader, self._outcomes = contender, reader, outcomes
        self._samples: list[PositionSample] = []

    async def wait_for_begin(self, text: str) -> None:
        """Wait for the contender's log line at the start of work."""
        deadline_s = time.perf_counter() + BEGINS_S_MAX
        while text not in self._contender.log.read_text(errors="replace"):
            self._check_alive()
            if time.perf_counter() > deadline_s:
                raise WrongOutcome(f"did not begin within {BEGINS_S_MAX} s: {self._contender.tail()}")
            await asyncio.sleep(SAMPLE_EVERY_S)
        self._samples.append(PositionSample(time.perf_counter(), cpu_s([self._contender]), 0))

    async def sample(self) -> PositionSample:
        """Take a sample now."""
        ends = await self._reader.end_offsets(self._outcomes)
        seen = PositionSample(time.perf_counter(), cpu_s([self._contender]), sum(ends.values()))
        self._samples.append(seen)
        return seen

    async def wait_for_outcomes(self, outcomes: int) -> None:
        """Sample until at least `outcomes` offsets are committed; transaction markers have offsets too."""
        moved = self._samples[0]
        while (seen := await self.sample()).committed < outcomes:
            self._check_alive()
            moved = seen if seen.committed > moved.committed else moved
            if seen.at_s - moved.at_s > STILL_S_MAX:
                raise WrongOutcome(f"no more than {seen.committed} of {outcomes} outcomes")
            await asyncio.sleep(SAMPLE_EVERY_S)

    @asynccontextmanager
    async def sample_meanwhile(self) -> AsyncIterator[None]:
        """Take samples during the block, and one at the end."""

        async def go_on() -> None:
            while True:
                await self.sample()
                await asyncio.sleep(SAMPLE_EVERY_S)

        sampling = asyncio.create_task(go_on())
        try:
            yield
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
        await self.sample()

    def _check_alive(self) -> None:
        if (code := self._contender.exit_code) is not None:
            raise WrongOutcome(f"ended with {code}: {self._contender.tail()}")

    def took(self) -> tuple[float, float]:
        """Return elapsed and CPU seconds from the start of work to the last outcome."""
        first = self._samples[0]
        last = next(sample for sample in self._samples if sample.committed == self._samples[-1].committed)
        return last.at_s - first.at_s, last.cpu_s - first.cpu_s


@asynccontextmanager
async def watch_contender(contender: Process, kafka: str, topic: str) -> AsyncIterator[Watch]:
    """Start a contender; kill it afterwards."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        outcomes = await partitions_of(kafka, topic)
        contender.start()
        try:
            yield Watch(contender, reader, outcomes)
        finally:
            contender.kill()
