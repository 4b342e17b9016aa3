"""What a worker has just written to partitions of its own is carried out without being read back.

A payment goes through Kafka six times, and most that a worker writes is for itself.  When the broker has
acknowledged it, the worker has its records at hand, with offsets and append times; to have them
read back takes a commit, its markers, a fetch and a poll.

They come ahead in their place in the log only, where the partition has been read up to the first of
them.  What else stands before them, a marker or what another has written, nobody can tell before it
is read, and until then they wait, or come with it.  What the consumer brings again lies before
the position and is passed over.
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

WAITING_MAX: Final = 10_000
"""Records of one partition that wait to come ahead; what is written beyond them is read back."""
OF_ONE_MAX: Final = 1_000
"""Records of one partition that count as under way: one that stands still keeps no others waiting."""


class Ahead:
    """Batches that the consumer has not come to; their own transaction takes them, or the next."""

    def __init__(self, intake: Iterable[str] = ()) -> None:
        """`intake` are topics (full names) of what is new: nobody waits for what this worker writes there."""
        self.intake = frozenset(intake)
        self._waiting: dict[TP, deque[AppendedBatch]] = {}
        self._come_to: dict[TP, int] = {}
        """Past what was taken last; the consumer comes there later."""
        self._counts: dict[TP, int] = {}
        """Records that wait."""
        self._written: dict[TP, int] = {}
        """Offset of the last record in each partition; behind it a marker will stand."""

    def add(self, appended: Iterable[AppendedBatch], owned: Container[TP]) -> None:
        """Keep what is for `owned` partitions, in the order of their offsets."""
        for batch in appended:
            if batch.tp in owned and batch.append_ms is not None:
                count = self._counts.get(batch.tp, 0) + len(batch.records)
                if count <= WAITING_MAX:
                    self._waiting.setdefault(batch.tp, deque()).append(batch)
                    self._counts[batch.tp] = count
                if batch.tp.topic not in self.intake:
                    self._written[batch.tp] = batch.last_offset

    @property
    def under_way(self) -> int:
        """How many records wait that payments go on with, at most OF_ONE_MAX of a partition."""
        counts = (count for tp, count in self._counts.items() if tp.topic not in self.intake)
        return sum(min(count, OF_ONE_MAX) for count in counts)

    def is_unread(self, read_to: Callable[[TP], int]) -> bool:
        """Whether the consumer has not yet come to the end of what was written.

        As long as it has not, nothing that is written next can come ahead there.
        """
        self._written = {tp: last for tp, last in self._written.items() if read_to(tp) <= last}
        return bool(self._written)

    def is_next(self, read_to: Callable[[TP], int]) -> bool:
        """Whether there is anything to take: see `take`."""
        return any(
            waiting[0].first_offset == self._next(tp, read_to) for tp, waiting in self._waiting.items()
        )

    def take(self, read_to: Callable[[TP], int]) -> dict[TP, list[Record]]:
        """Return what comes next in each partition, and forget what has been read.

        `read_to` is the consumer's position, past all that its polls have brought.
        """
        taken: dict[TP, list[Record]] = {}
        for tp, waiting in list(self._waiting.items()):
            next_offset = self._next(tp, read_to)
            while waiting and waiting[0].first_offset <= next_offset:
                batch = waiting.popleft()
                self._counts[tp] -= len(batch.records)
                if batch.first_offset == next_offset:
                    taken.setdefault(tp, []).extend(_records(batch))
                    RECORDS_AHEAD.labels(tp.topic).inc(len(batch.records))
                    next_offset = self._come_to[tp] = batch.last_offset + 1
            if not waiting:
                del self._waiting[tp]
        return taken

    def clear(self) -> None:
        """Forget all: positions come from a takeover now."""
        self._waiting.clear()
        self._come_to.clear()
        self._written.clear()
        self._counts.clear()

    def _next(self, tp: TP, read_to: Callable[[TP], int]) -> int:
        return max(read_to(tp), self._come_to.get(tp, 0))


def _records(batch: AppendedBatch) -> Iterable[SyntheticRecord]:
    (topic, partition), first_offset, append_ms, outgoing = batch
    assert append_ms is not None, "without its time a batch is not kept"
    for number, (key, value, headers) in enumerate(outgoing):
        yield SyntheticRecord(topic, partition, first_offset + number, append_ms, key, value, headers)
