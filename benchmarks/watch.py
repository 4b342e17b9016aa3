"""A contender watched from outside: when it began, and when its last outcome was committed.

While it runs only offsets are asked for, so that no reader takes the processor that is
measured.  An outcome is committed when the last stable offset is behind it; the time is that of the
first look at which this offset was where it is in the end.
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
"""Each asks the broker and takes processor time from what is measured: 1 ms or so."""
BEGINS_S_MAX: Final = 120.0


class PositionSample(NamedTuple):
    """What is seen at a moment: the contender's processor time, and how far its outcomes are committed."""

    at_s: float
    cpu_s: float
    committed: int


class Watch:
    """Looks at one contender and at the topic of its outcomes."""

    def __init__(self, contender: Process, reader: AIOKafkaConsumer, outcomes: list[TopicPartition]) -> None:
        self._contender, self._reader, self._outcomes = contender, reader, outcomes
        self._samples: list[PositionSample] = []

    async def wait_for_begin(self, text: str) -> None:
        """Wait until the contender says that it begins."""
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
        """Look until so many may be committed; transactions' markers count as well."""
        moved = self._samples[0]
        while (seen := await self.sample()).committed < outcomes:
            self._check_alive()
            moved = seen if seen.committed > moved.committed else moved
            if seen.at_s - moved.at_s > STILL_S_MAX:
                raise WrongOutcome(f"no more than {seen.committed} of {outcomes} outcomes")
            await asyncio.sleep(SAMPLE_EVERY_S)

    @asynccontextmanager
    async def sample_meanwhile(self) -> AsyncIterator[None]:
        """Look meanwhile, and once more at the end."""

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
        """Return seconds and processor seconds from the begin to the last outcome."""
        first = self._samples[0]
        last = next(sample for sample in self._samples if sample.committed == self._samples[-1].committed)
        return last.at_s - first.at_s, last.cpu_s - first.cpu_s


@asynccontextmanager
async def watch_contender(contender: Process, kafka: str, topic: str) -> AsyncIterator[Watch]:
    """Start a contender, and kill it afterwards."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as reader:
        outcomes = await partitions_of(kafka, topic)
        contender.start()
        try:
            yield Watch(contender, reader, outcomes)
        finally:
            contender.kill()
