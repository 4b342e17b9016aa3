"""Loopback queue: a worker carries out its own records without reading them back from Kafka.

A payment passes through Kafka six times, and most records of a worker go to its own partitions.  Once the
broker has acknowledged them, the worker knows their offsets and append times.  Reading them back would take
a commit, its markers, a fetch and a poll.

The order of the log holds: a batch is ready only when the partition has been read up to its first offset.
Before that, a marker or another producer's record may stand in front of it, so the batch waits.  The
consumer returns the same records later; they lie below the source offset and are skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import Final

from faust.types import TP

from ledger_streams.engine.batches import Record
from ledger_streams.kafka.records import AppendedBatch
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.metrics import RECORDS_AHEAD

QUEUED_PER_PARTITION_MAX: Final = 10_000
"""Records in the queue of one partition; records beyond it are read back from Kafka."""
IN_FLIGHT_PER_PARTITION_MAX: Final = 1_000
"""Records of one partition that count as in flight, so that a stuck partition does not stop the others."""


class LoopbackQueue:
    """Own batches that the consumer has not read yet; the same transaction or the next one takes them."""

    def __init__(self, intake: Iterable[str] = ()) -> None:
        """Make an empty queue; the request topics, `intake` (full names), do not count as in flight."""
        self.intake = frozenset(intake)
        self._queues: dict[TP, deque[AppendedBatch]] = {}
        self._popped_to: dict[TP, int] = {}
        """The offset behind the last popped batch; the consumer's position may be lower."""
        self._counts: dict[TP, int] = {}
        """Queued records of each partition."""
        self._written: dict[TP, int] = {}
        """Offset of the last own record in each partition; a marker will follow it."""

    def add(self, appended: Iterable[AppendedBatch], owned: Container[TP]) -> None:
        """Queue the batches of `owned` partitions; call it in the order of their offsets."""
        for batch in appended:
            if batch.tp in owned and batch.append_ms is not None:
                count = self._counts.get(batch.tp, 0) + len(batch.records)
                if count <= QUEUED_PER_PARTITION_MAX:
                    self._queues.setdefault(batch.tp, deque()).append(batch)
                    self._counts[batch.tp] = count
                if batch.tp.topic not in self.intake:
                    self._written[batch.tp] = batch.last_offset

    @property
    def in_flight(self) -> int:
        """Queued records outside the request topics, at most IN_FLIGHT_PER_PARTITION_MAX of a partition."""
        counts = (count for tp, count in self._counts.items() if tp.topic not in self.intake)
        return sum(min(count, IN_FLIGHT_PER_PARTITION_MAX) for count in counts)

    def is_unread(self, read_to: Callable[[TP], int]) -> bool:
        """Return whether the consumer has still to read past own records somewhere.

        Until it has, a record that is written next in that partition cannot become ready.
        """
        self._written = {tp: last for tp, last in self._written.items() if read_to(tp) <= last}
        return bool(self._written)

    def has_ready(self, read_to: Callable[[TP], int]) -> bool:
        """Return whether `pop_ready` would return a record."""
        return any(queue[0].first_offset == self._next(tp, read_to) for tp, queue in self._queues.items())

    def pop_ready(self, read_to: Callable[[TP], int]) -> dict[TP, list[Record]]:
        """Remove and return the records that come next in each partition; drop those already read.

        `read_to` returns the consumer's position in a partition.
        """
        ready: dict[TP, list[Record]] = {}
        for tp, queue in list(self._queues.items()):
            next_offset = self._next(tp, read_to)
            while queue and queue[0].first_offset <= next_offset:
                batch = queue.popleft()
                self._counts[tp] -= len(batch.records)
                if batch.first_offset == next_offset:
                    ready.setdefault(tp, []).extend(_records(batch))
                    RECORDS_AHEAD.labels(tp.topic).inc(len(batch.records))
                    next_offset = self._popped_to[tp] = batch.last_offset + 1
            if not queue:
                del self._queues[tp]
        return ready

    def clear(self) -> None:
        """Drop everything; a takeover calls it, and sets new source offsets."""
        self._queues.clear()
        self._popped_to.clear()
        self._written.clear()
        self._counts.clear()

    def _next(self, tp: TP, read_to: Callable[[TP], int]) -> int:
        return max(read_to(tp), self._popped_to.get(tp, 0))


def _records(batch: AppendedBatch) -> Iterable[SyntheticRecord]:
    (topic, partition), first_offset, append_ms, outgoing = batch
    assert append_ms is not None, "a batch without append time is never queued"
    for number, (key, value, headers) in enumerate(outgoing):
        yield SyntheticRecord(topic, partition, first_offset + number, append_ms, key, value, headers)
