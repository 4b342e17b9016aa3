"""Cycle, frame, share: one poll of the consumer, cut up for the agents.

A cycle is everything one poll brought, and what comes of it for this very worker, round by
round.  A frame is the part of one topic, which one agent decides at once; a share is the part
of one partition, in order.  What a share causes is collected in it: records to be sent, states
to be kept.  Nothing of it is visible to anybody before the cycle's transaction has been committed.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from types import TracebackType
from typing import Any, Protocol

from faust.types import TP

from ledger_streams.domain.reasons import Reason
from ledger_streams.engine.dlq_limit import LetterRun
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken, Unreadable
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.murmur2 import murmur2
from ledger_streams.kafka.records import Outbox, Outgoing


class Record(Protocol):
    """A raw record of Kafka, as aiokafka hands it over; `timestamp` is its append time in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@lru_cache(maxsize=32_768)
def _key_hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


class Destination:
    """A topic to send to, by the key's partition."""

    def __init__(self, topic: str, partitions: int) -> None:
        self._partitions = [TP(topic, number) for number in range(partitions)]

    def of(self, key: bytes) -> TP:
        """Return the partition that Kafka's default partitioner gives `key`."""
        return self._partitions[_key_hash(key) % len(self._partitions)]

    def check_place(self, record: Record) -> None:
        """Raise Unreadable unless a record that has a key lies in its partition, where its state is."""
        if record.key is None or (own := self.of(record.key).partition) == record.partition:
            return
        raise Unreadable(
            reason=Reason.WRONG_PARTITION,
            detail=f"partition {record.partition} is not the key's, {own} of {len(self._partitions)}: "
            "the producer's partitioner has to be murmur2, Kafka's default",
        )

    def numbered(self, partition: int) -> TP:
        """Return the partition of this number."""
        return self._partitions[partition]


class Share:
    """One partition's deadlines that have come and its records, in order, and what they cause."""

    __slots__ = ("due", "flood", "letters", "outbox", "records", "source_next", "store", "tp")

    def __init__(  # noqa: PLR0913  # a share is made in one place
        self,
        tp: TP,
        records: Sequence[Record],
        store: PartitionStore | None = None,
        *,
        source_next: int,
        due: Sequence[Due] = (),
        letters: LetterRun | None = None,
    ) -> None:
        self.tp = tp
        self.records = list(records)
        self.store = store
        self.due = due
        """Decided before the records: they came before these were read."""
        self.outbox: Outbox = {}
        self.source_next = source_next
        """The source position once this share is committed; without records, as it was."""
        self.letters = letters or LetterRun()
        self.flood: InvariantBroken | None = None
        """Why the process ends once this share, cut before a dead letter too many, is committed."""

    def emit(self, tp: TP, outgoing: Outgoing) -> None:
        """Send a record in the cycle's transaction; records to one partition keep their order."""
        queue = self.outbox.get(tp)
        if queue is None:
            queue = self.outbox[tp] = []
        queue.append(outgoing)

    def announce(self, tp: TP) -> None:
        """Say that what comes of this share goes to `tp` too: one question makes all part of the transaction.

        A partition that nothing goes to then gets a marker, which its owner has to read first.  Nothing
        is announced where no round follows.
        """
        self.outbox.setdefault(tp, [])

    def state(self, key: bytes) -> Any | None:
        """Return the state of `key` in this partition's table, as the cycle has it so far."""
        assert self.store is not None, "this topic has no table"
        return self.store.get(key)

    def change(self, key: bytes, state: Any, *, stored: bytes, logged: bytes, changelog: Destination) -> None:
        """Change a state: `logged` goes to the changelog, `stored` to RocksDB once the cycle is committed.

        The changelog record gets its headers when the cycle is committed.
        """
        assert self.store is not None, "this topic has no table"
        self.store.put(key, state, stored)
        self.emit(changelog.numbered(self.tp.partition), (key, logged, ()))

    def takes_letter(self, record: Record) -> bool:
        """Count `record` as a dead letter; False when it is one too many: the share is cut before it."""
        at = self._at(record)
        if self.letters.takes(at):
            return True
        del self.records[at:]  # which ends the agent's loop over them
        self.source_next = record.offset
        return False

    def pass_over(self, record: Record) -> None:
        """Say that `record` was not carried out and is no dead letter either."""
        if self.letters.count:
            self.letters.pass_over(self._at(record))

    def _at(self, record: Record) -> int:
        return bisect_left(self.records, record.offset, key=attrgetter("offset"))


class Cycle:
    """Rounds of frames, the first of one poll; over when its transaction is committed or it is given up."""

    def __init__(self, membership: Membership, shares: Mapping[str, list[Share]]) -> None:
        self.membership = membership
        self.is_over = False
        self.failure: BaseException | None = None
        self.ends: dict[TP, int] = {}
        """The last offset of what has been sent to each partition."""
        self.rounds = 0
        self._in_order: list[Frame] = []
        """The frames in the order in which they were decided."""
        self.begin_round(shares)

    def begin_round(self, shares: Mapping[str, list[Share]]) -> None:
        """Go on with what the last round has caused."""
        self.rounds += 1
        self.frames = [Frame(self, topic, parts) for topic, parts in shares.items()]
        self.decided = asyncio.Event()
        """Set when every frame of the round has been decided, or one of them has failed."""
        self._before = len(self._in_order)

    @property
    def shares(self) -> Iterator[Share]:
        """All shares of the frames decided so far, in the order of the decisions.

        Two topics may feed one table: the changelog has to have the states as they followed each other.
        """
        return (share for frame in self._in_order for share in frame.shares)

    @property
    def round_shares(self) -> Iterator[Share]:
        """Those of the last round."""
        return (share for frame in self._in_order[self._before :] for share in frame.shares)

    @property
    def flood(self) -> InvariantBroken | None:
        """Why the process ends once the cycle is committed; None as a rule."""
        return next((share.flood for share in self.shares if share.flood is not None), None)

    def frame_decided(self, frame: Frame, failure: BaseException | None) -> None:
        """Note that a frame has been decided, or why it could not be."""
        self._in_order.append(frame)
        self.failure = self.failure or failure
        if len(self._in_order) - self._before == len(self.frames) or failure is not None:
            self.decided.set()


class Frame:
    """One topic's part of a cycle, as its agent gets it.

    Use it as a context: leaving the block hands in what was decided.  An exception
    in the block ends the process before anything is acknowledged, where Faust
    would count the event as done and go on.  Where there is a table nothing is awaited
    in the block, so that the frames of one table are decided one after the other.
    """

    __slots__ = ("_cycle", "shares", "topic")

    def __init__(self, cycle: Cycle, topic: str, shares: list[Share]) -> None:
        self._cycle: Cycle | None = cycle
        """None once it has been decided: cycle and frames would keep each other until a rare collection."""
        self.topic = topic
        self.shares = shares

    @property
    def reached(self) -> tuple[TP, int]:
        """Partition and position that stand for the frame in Faust's books.

        Not the last record's offset: deadlines may come without one, and Faust passes
        over an offset below the position it has sought.
        """
        share = self.shares[-1]
        return share.tp, share.source_next

    def __enter__(self) -> list[Share]:
        return self.shares

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.frame_decided(self, error)


def merged(shares: Iterator[Share]) -> Outbox:
    """Return the records of all shares by partition, in the shares' order."""
    outbox: Outbox = {}
    for share in shares:
        for tp, queue in share.outbox.items():
            outbox.setdefault(tp, []).extend(queue)
    return outbox
