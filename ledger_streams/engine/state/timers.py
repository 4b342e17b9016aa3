"""Deadlines: states of one table partition that something has to be done about at a time.

When a state is due is part of the state; this is the index by time, kept beside the
states in RocksDB and written with them, so that an open partition knows its deadlines
without reading its states.  One that has come is given to a cycle and is past once that
cycle is committed; a lost cycle, and a partition rebuilt from its changelog, gives it
again.  So a deadline comes at least once, and what it sets off has to look at the state.
It never overtakes a record that was appended before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple

from rocksdict import Rdict, WriteBatch

INDEX_PREFIX: Final = b"\x00due"
"""Keys of states never begin with a zero byte."""
_TIME_BYTES: Final = 8
FIRED_MAX: Final = 500
"""Deadlines of one partition in one cycle; what is left comes with the next."""

STALE_MAX: Final = 1_000
"""Entries of the heap that are not true any more, beyond as many as there are deadlines."""


class Due(NamedTuple):
    """A deadline that has come: the state's key, and when it was due (ms since 1970)."""

    key: bytes
    due_ms: int


class Timers:
    """The deadlines of one partition, in order; at most one a state."""

    def __init__(self, db: Rdict) -> None:
        self._due_ms: dict[bytes, int] = {}
        self._fired: dict[bytes, int] = {}
        for entry in db.keys(from_key=INDEX_PREFIX):
            if not entry.startswith(INDEX_PREFIX):
                break
            time_end = len(INDEX_PREFIX) + _TIME_BYTES
            self._due_ms[entry[time_end:]] = int.from_bytes(entry[len(INDEX_PREFIX) : time_end])
        self._heap = [(due_ms, key) for key, due_ms in self._due_ms.items()]
        heapq.heapify(self._heap)

    def __contains__(self, key: bytes) -> bool:
        """Whether the state of `key` has a deadline."""
        return key in self._due_ms

    def next_ms(self) -> int | None:
        """Return when the next deadline comes; None without one."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, until_ms: int) -> Sequence[Due]:
        """Give the deadlines up to a time to a cycle, the earliest first."""
        while (
            len(self._fired) < FIRED_MAX and (next_ms := self.next_ms()) is not None and next_ms <= until_ms
        ):
            due_ms, key = heapq.heappop(self._heap)
            self._fired[key] = due_ms
        return [Due(key, due_ms) for key, due_ms in self._fired.items()]

    def rearm(self) -> None:
        """Take back what a lost cycle was given."""
        for key, due_ms in self._fired.items():
            heapq.heappush(self._heap, (due_ms, key))
        self._fired.clear()

    def move(self, batch: WriteBatch, key: bytes, due_ms: int | None) -> None:
        """Set when the state of `key` is due, in the batch that writes the state."""
        before_ms = self._due_ms.get(key)
        if due_ms == before_ms:
            return
        if before_ms is not None:
            batch.delete(_entry(key, before_ms))
            del self._due_ms[key]
        if due_ms is not None:
            batch.put(_entry(key, due_ms), b"")
            self._due_ms[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._due_ms) + STALE_MAX:
            self._rebuild()

    def delete_fired(self, batch: WriteBatch) -> None:
        """Drop what the cycle was given, unless its state has got another deadline."""
        for key, due_ms in self._fired.items():
            if self._due_ms.get(key) == due_ms:
                batch.delete(_entry(key, due_ms))
                del self._due_ms[key]
        self._fired.clear()

    def size(self) -> int:
        """Return the room that the order of the deadlines takes, in entries."""
        return len(self._heap)

    def _rebuild(self) -> None:
        """Forget where deadlines have been: far ones that were moved away would stay until they come."""
        fired = self._fired
        self._heap = [(due_ms, key) for key, due_ms in self._due_ms.items() if fired.get(key) != due_ms]
        heapq.heapify(self._heap)

    def _drop_stale(self) -> None:
        while self._heap and self._due_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)


def _entry(key: bytes, due_ms: int) -> bytes:
    return INDEX_PREFIX + due_ms.to_bytes(_TIME_BYTES) + key
