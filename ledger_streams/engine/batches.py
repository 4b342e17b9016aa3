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
from ledger_streams.engine.dlq_limit import ConsecutiveDeadLetters
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken, Unreadable
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.murmur2 import murmur2


class Record(Protocol):
    """A raw record of Kafka, as aiokafka hands it over; `timestamp` is its append time in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


Headers = Sequence[tuple[str, bytes]]


Outgoing = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record to be sent; a plain tuple, since there are many."""

Outbox = dict[TP, list[Outgoing]]
"""What goes to each partition; nothing to one that is announced."""


@lru_cache(maxsize=32_768)
def _key_hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


class PartitionedTopic:
    """A topic to send to, by the key's partition."""

    def __init__(self, topic: str, partitions: int) -> None:
        self._partitions = [TP(topic, number) for number in range(partitions)]

    def for_key(self, key: bytes) -> TP:
        """Return the partition that Kafka's default partitioner gives `key`."""
        return self._partitions[_key_hash(key) % len(self._partitions)]

    def check_partition(self, record: Record) -> None:
        """Raise Unreadable unless a record that has a key lies in its partition, where its state is."""
        if record.key is None or (own := self.for_key(record.key).partition) == record.partition:
            return
        raise Unreadable(
            reason=Reason.WRONG_PARTITION,
            detail=f"partition {record.partition} is not the key's, {own} of {len(self._partitions)}: "
            "the producer's partitioner has to be murmur2, Kafka's default",
        )

    def partition(self, number: int) -> TP:
        """Return the partition of this number."""
        return self._partitions[number]


class PartitionBatch:
    """One partition's deadlines that have come and its records, in order, and what they cause."""

    __slots__ = ("dead_letters", "dlq_limit_error", "due", "outbox", "records", "source_next", "store", "tp")

    def __init__(  # noqa: PLR0913  # a share is made in one place
        self,
        tp: TP,
        records: Sequence[Record],
        store: PartitionStore | None = None,
        *,
        source_next: int,
        due: Sequence[Due] = (),
        dead_letters: ConsecutiveDeadLetters | None = None,
    ) -> None:
        self.tp = tp
        self.records = list(records)
        self.store = store
        self.due = due
        """Decided before the records: they came before these were read."""
        self.outbox: Outbox = {}
        self.source_next = source_next
        """The source position once this share is committed; without records, as it was."""
        self.dead_letters = dead_letters or ConsecutiveDeadLetters()
        self.dlq_limit_error: InvariantBroken | None = None
        """Why the process ends once this share, cut before a dead letter too many, is committed."""

    def emit(self, tp: TP, outgoing: Outgoing) -> None:
        """Send a record in the cycle's transaction; records to one partition keep their order."""
        queue = self.outbox.get(tp)
        if queue is None:
            queue = self.outbox[tp] = []
        queue.append(outgoing)

    def add_partition_to_txn(self, tp: TP) -> None:
        """Say that what comes of this share goes to `tp` too: one question makes all part of the transaction.

        A partition that nothing goes to then gets a marker, which its owner has to read first.  Nothing
        is announced where no round follows.
        """
        self.outbox.setdefault(tp, [])

    def get_state(self, key: bytes) -> Any | None:
        """Return the state of `key` in this partition's table, as the cycle has it so far."""
        assert self.store is not None, "this topic has no table"
        return self.store.get(key)

    def put_state(
        self, key: bytes, state: Any, *, stored: bytes, logged: bytes, changelog: PartitionedTopic
    ) -> None:
        """Change a state: `logged` goes to the changelog, `stored` to RocksDB once the cycle is committed.

        The changelog record gets its headers when the cycle is committed.
        """
        assert self.store is not None, "this topic has no table"
        self.store.put(key, state, stored)
        self.emit(changelog.partition(self.tp.partition), (key, logged, ()))

    def try_dead_letter(self, record: Record) -> bool:
        """Count `record` as a dead letter; False when it is one too many: the share is cut before it."""
        at = self._at(record)
        if self.dead_letters.try_count(at):
            return True
        del self.records[at:]  # which ends the agent's loop over them
        self.source_next = record.offset
        return False

    def skip(self, record: Record) -> None:
        """Say that `record` was not carried out and is no dead letter either."""
        if self.dead_letters.count:
            self.dead_letters.skip(self._at(record))

    def _at(self, record: Record) -> int:
        return bisect_left(self.records, record.offset, key=attrgetter("offset"))


class Cycle:
    """Rounds of frames, the first of one poll; over when its transaction is committed or it is given up."""

    def __init__(self, membership: Membership, batches: Mapping[str, list[PartitionBatch]]) -> None:
        self.membership = membership
        self.is_over = False
        self.failure: BaseException | None = None
        self.ends: dict[TP, int] = {}
        """The last offset of what has been sent to each partition."""
        self.rounds = 0
        self._in_order: list[TopicBatch] = []
        """The frames in the order in which they were decided."""
        self.begin_round(batches)

    def begin_round(self, batches: Mapping[str, list[PartitionBatch]]) -> None:
        """Go on with what the last round has caused."""
        self.rounds += 1
        self.topic_batches = [TopicBatch(self, topic, parts) for topic, parts in batches.items()]
        self.decided = asyncio.Event()
        """Set when every frame of the round has been decided, or one of them has failed."""
        self._before = len(self._in_order)

    @property
    def batches(self) -> Iterator[PartitionBatch]:
        """All shares of the frames decided so far, in the order of the decisions.

        Two topics may feed one table: the changelog has to have the states as they followed each other.
        """
        return (batch for topic_batch in self._in_order for batch in topic_batch.batches)

    @property
    def round_batches(self) -> Iterator[PartitionBatch]:
        """Those of the last round."""
        return (batch for topic_batch in self._in_order[self._before :] for batch in topic_batch.batches)

    @property
    def dlq_limit_error(self) -> InvariantBroken | None:
        """Why the process ends once the cycle is committed; None as a rule."""
        return next(
            (batch.dlq_limit_error for batch in self.batches if batch.dlq_limit_error is not None), None
        )

    def batch_decided(self, topic_batch: TopicBatch, failure: BaseException | None) -> None:
        """Note that a frame has been decided, or why it could not be."""
        self._in_order.append(topic_batch)
        self.failure = self.failure or failure
        if len(self._in_order) - self._before == len(self.topic_batches) or failure is not None:
            self.decided.set()


class TopicBatch:
    """One topic's part of a cycle, as its agent gets it.

    Use it as a context: leaving the block hands in what was decided.  An exception
    in the block ends the process before anything is acknowledged, where Faust
    would count the event as done and go on.  Where there is a table nothing is awaited
    in the block, so that the frames of one table are decided one after the other.
    """

    __slots__ = ("_cycle", "batches", "topic")

    def __init__(self, cycle: Cycle, topic: str, batches: list[PartitionBatch]) -> None:
        self._cycle: Cycle | None = cycle
        """None once it has been decided: cycle and frames would keep each other until a rare collection."""
        self.topic = topic
        self.batches = batches

    @property
    def end(self) -> tuple[TP, int]:
        """Partition and position that stand for the frame in Faust's books.

        Not the last record's offset: deadlines may come without one, and Faust passes
        over an offset below the position it has sought.
        """
        batch = self.batches[-1]
        return batch.tp, batch.source_next

    def __enter__(self) -> list[PartitionBatch]:
        return self.batches

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.batch_decided(self, error)


def merge_outboxes(batches: Iterator[PartitionBatch]) -> Outbox:
    """Return the records of all shares by partition, in the shares' order."""
    outbox: Outbox = {}
    for batch in batches:
        for tp, queue in batch.outbox.items():
            outbox.setdefault(tp, []).extend(queue)
    return outbox
