"""Timers: the states of one table partition that are due at a time.

The due time is part of the state.  This is its index by time, in RocksDB beside the states and written in the
same batch, so an opened partition knows its timers without reading its states.  A timer fires in one cycle
and is deleted when that cycle is committed.  After a lost cycle, or in a partition rebuilt from its
changelog, it fires again.  So a timer fires at least once, and its agent has to check the state.  A timer
never fires before a record that was appended earlier.
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
"""Timers that fire for one partition in one cycle; the rest fires in the next."""

STALE_MAX: Final = 1_000
"""Outdated entries of the heap, beyond the number of timers, before it is rebuilt."""


class Due(NamedTuple):
    """A fired timer: the key of its state, and its time in ms since 1970."""

    key: bytes
    due_ms: int


class Timers:
    """The timers of one partition in order; a state has one at most."""

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
        """Return whether the state of `key` has a timer."""
        return key in self._due_ms

    def next_ms(self) -> int | None:
        """Return the time of the next timer; None without one."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, until_ms: int) -> Sequence[Due]:
        """Fire the timers up to a time, the earliest first; return all fired ones of this cycle."""
        while (
            len(self._fired) < FIRED_MAX and (next_ms := self.next_ms()) is not None and next_ms <= until_ms
        ):
            due_ms, key = heapq.heappop(self._heap)
            self._fired[key] = due_ms
        return [Due(key, due_ms) for key, due_ms in self._fired.items()]

    def rearm(self) -> None:
        """Rearm the timers that fired in a lost cycle."""
        for key, due_ms in self._fired.items():
            heapq.heappush(self._heap, (due_ms, key))
        self._fired.clear()

    def move(self, batch: WriteBatch, key: bytes, due_ms: int | None) -> None:
        """Set the timer of `key` (None: delete it), in the batch that writes the state."""
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
        """Delete the fired timers, except where the cycle has set another time."""
        for key, due_ms in self._fired.items():
            if self._due_ms.get(key) == due_ms:
                batch.delete(_entry(key, due_ms))
                del self._due_ms[key]
        self._fired.clear()

    def size(self) -> int:
        """Return the number of entries in the heap."""
        return len(self._heap)

    def _rebuild(self) -> None:
        """Rebuild the heap without outdated entries; those far in the future would stay for long."""
        fired = self._fired
        self._heap = [(due_ms, key) for key, due_ms in self._due_ms.items() if fired.get(key) != due_ms]
        heapq.heapify(self._heap)

    def _drop_stale(self) -> None:
        while self._heap and self._due_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)


def _entry(key: bytes, due_ms: int) -> bytes:
    return INDEX_PREFIX + due_ms.to_bytes(_TIME_BYTES) + key
