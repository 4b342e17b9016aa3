"""Roots of days: one hash over all rows of a closed day.

A day's boundaries are the projected offsets, not the times in the records: no record arrives below
them later.  A root covers the chain hashes between two boundaries, sorted, so a rebuild in another
order has the same root.  A seal covers the root and the previous seal.  With LEDGER_AUDIT_KEY, which
PostgreSQL does not have, a writer of the database cannot forge a seal.
"""

from __future__ import annotations

import hmac
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from ledger_streams.adapters.postgres.rows import TopicPartition

Boundaries: TypeAlias = dict[str, dict[str, tuple[int, str | None]]]
"""Topic, partition: the next offset, and the head of the partition's chain of events, if it has one."""

BEGIN: Final = -sys.maxsize - 1
"""Below every offset, also the negative ones of lost logs."""


class Root(msgspec.Struct, frozen=True):
    """A closed day; hashes are hexadecimal."""

    day: str
    root: str
    leaves: int
    boundaries: Boundaries
    keyed: bool
    """Whether the seal was made with LEDGER_AUDIT_KEY."""
    seal: str
    moved: int = 0
    """Total shift of offsets after lost logs; not covered by the seal."""

    @property
    def ends(self) -> Boundaries:
        """The boundaries as offsets are now."""
        return {
            topic: {number: (offset - self.moved, head) for number, (offset, head) in partitions.items()}
            for topic, partitions in self.boundaries.items()
        }


class Span(msgspec.Struct, frozen=True):
    """Offsets of one source partition in a day: `since` inclusive, `until` exclusive."""

    topic: str
    partition: int
    since: int
    until: int


def seal(root: Root, before: str, key: str) -> Root:
    """Return the root with its seal; `before` is the seal of the day before, empty for the first."""
    keyed = msgspec.structs.replace(root, keyed=bool(key))
    return msgspec.structs.replace(keyed, seal=seal_of(keyed, before, key))


def seal_of(root: Root, before: str, key: str) -> str:
    """Compute the seal of a root."""
    said = [before, root.day, root.root, root.leaves, root.boundaries, root.keyed]
    message = msgspec.json.Encoder(order="sorted").encode(said)
    if root.keyed:
        return hmac.digest(key.encode(), message, "sha256").hex()
    return sha256(message).hexdigest()


def spans(boundaries: Boundaries, before: Boundaries) -> list[Span]:
    """Return the spans between two boundaries; the first day begins at the log's begin."""
    return [
        Span(topic, int(partition), before.get(topic, {}).get(partition, (BEGIN, None))[0], until)
        for topic, partitions in sorted(boundaries.items())
        for partition, (until, _) in sorted(partitions.items())
    ]


def offsets(boundaries: Boundaries) -> Iterator[tuple[TopicPartition, int, bytes | None]]:
    """Yield each partition of the boundaries, its next offset, and the head of its chain."""
    for topic, partitions in boundaries.items():
        for partition, (offset, head) in partitions.items():
            yield (topic, int(partition)), offset, None if head is None else bytes.fromhex(head)


class Days:
    """Finds the day of a row by binary search over the closed days."""

    def __init__(self, roots: Sequence[Root]) -> None:
        self._days = [root.day for root in roots]
        ends = [{place: offset for place, offset, _ in offsets(root.ends)} for root in roots]
        places = set().union(*ends)
        self._ends = {place: [end.get(place, BEGIN) for end in ends] for place in places}

    def day(self, topic: str, partition: int, offset: int) -> str:
        """Return the row's day, or `open` when it is not closed yet."""
        number = bisect_right(self._ends.get((topic, partition), ()), offset)
        closed = (topic, partition) in self._ends and number < len(self._days)
        return self._days[number] if closed else "open"


def disagreements(
    roots: Sequence[Root], elsewhere: Mapping[str, Sequence[Root]]
) -> Iterator[tuple[str, str]]:
    """Yield day and detail for each difference between the database's roots and those on Kafka."""
    here = {root.day: root for root in roots}
    for day in sorted(here.keys() | elsewhere.keys()):
        if day not in here:
            yield day, "is on Kafka and not in the database"
        elif day not in elsewhere:
            yield day, "is not on Kafka"
        for other in elsewhere.get(day, ()):
            if day in here and msgspec.structs.replace(here[day], moved=other.moved) != other:
                yield day, f"has seal {here[day].seal}, on Kafka {other.seal}"
