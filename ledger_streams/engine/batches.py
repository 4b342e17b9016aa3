"""Cycle, topic batch, partition batch: the records of one poll, grouped for the agents.

A cycle has the records of one poll, and in further rounds the records that this worker wrote to its own
partitions meanwhile.  One agent decides one topic batch at once; it has a partition batch for each
partition, in offset order.  A partition batch collects the effects of its records: records to send, states
to store.  Other processes see none of them before the cycle's transaction is committed.
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
from ledger_streams.kafka.records import Outbox, Outgoing


class Record(Protocol):
    """A raw Kafka record, as aiokafka returns it; `timestamp` is its append time in ms since 1970."""

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


class PartitionedTopic:
    """A topic with a known number of partitions."""

    def __init__(self, topic: str, partitions: int) -> None:
        self._partitions = [TP(topic, number) for number in range(partitions)]

    def for_key(self, key: bytes) -> TP:
        """Return the partition that Kafka's default partitioner gives `key`."""
        return self._partitions[_key_hash(key) % len(self._partitions)]

    def check_partition(self, record: Record) -> None:
        """Raise Unreadable if a record with a key lies in another partition than its key's.

        Its state is in the key's partition, on a worker that may not be this one.
        """
        if record.key is None or (own := self.for_key(record.key).partition) == record.partition:
            return
        raise Unreadable(
            reason=Reason.WRONG_PARTITION,
            detail=f"partition {record.partition} is not the key's, {own} of {len(self._partitions)}: "
            "the producer's partitioner has to be murmur2, Kafka's default",
        )

    def partition(self, number: int) -> TP:
        """Return the partition with this number."""
        return self._partitions[number]


class PartitionBatch:
    """The expired timers and the records of one partition, in order, and their effects."""

    __slots__ = ("dead_letters", "dlq_limit_error", "due", "outbox", "records", "source_next", "store", "tp")

    def __init__(  # noqa: PLR0913  # the two committers make it
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
        """Decided before the records: these timers expired before the records were read."""
        self.outbox: Outbox = {}
        self.source_next = source_next
        """The source offset once this batch is committed; unchanged without records."""
        self.dead_letters = dead_letters or ConsecutiveDeadLetters()
        self.dlq_limit_error: InvariantBroken | None = None
        """Set when the batch was cut before a dead letter too many; the process exits after its commit."""

    def emit(self, tp: TP, outgoing: Outgoing) -> None:
        """Add a record to the cycle's transaction; records to one partition keep their order."""
        queue = self.outbox.get(tp)
        if queue is None:
            queue = self.outbox[tp] = []
        queue.append(outgoing)

    def add_partition_to_txn(self, tp: TP) -> None:
        """Add `tp` to the transaction now, for records of a later round.

        One AddPartitionsToTxn request then covers all rounds.  A partition added to the transaction but
        not written still receives a commit marker, which its owner has to read.  The committer ignores
        the call when no round follows.
        """
        self.outbox.setdefault(tp, [])

    def get_state(self, key: bytes) -> Any | None:
        """Return the state of `key`, with the changes of this cycle; None if the key has none."""
        assert self.store is not None, "this topic has no table"
        return self.store.get(key)

    def put_state(
        self, key: bytes, state: Any, *, stored: bytes, logged: bytes, changelog: PartitionedTopic
    ) -> None:
        """Set a state: `logged` goes to the changelog, `stored` to RocksDB after the commit.

        The committer adds the headers of the changelog record.
        """
        assert self.store is not None, "this topic has no table"
        self.store.put(key, state, stored)
        self.emit(changelog.partition(self.tp.partition), (key, logged, ()))

    def try_dead_letter(self, record: Record) -> bool:
        """Count `record` as a dead letter; at the limit, return False and cut the batch before it."""
        at = self._at(record)
        if self.dead_letters.try_count(at):
            return True
        del self.records[at:]  # ends the agent's loop over them
        self.source_next = record.offset
        return False

    def skip(self, record: Record) -> None:
        """Leave `record` out of the count: it neither continues nor ends a row of dead letters."""
        if self.dead_letters.count:
            self.dead_letters.skip(self._at(record))

    def _at(self, record: Record) -> int:
        return bisect_left(self.records, record.offset, key=attrgetter("offset"))


class Cycle:
    """The rounds of one transaction; over when it is committed or aborted."""

    def __init__(self, membership: Membership, batches: Mapping[str, list[PartitionBatch]]) -> None:
        self.membership = membership
        self.is_over = False
        self.failure: BaseException | None = None
        self.ends: dict[TP, int] = {}
        """The last offset that this cycle has written to each partition."""
        self.rounds = 0
        self._in_order: list[TopicBatch] = []
        """The topic batches in the order of their decisions."""
        self.begin_round(batches)

    def begin_round(self, batches: Mapping[str, list[PartitionBatch]]) -> None:
        """Start the next round with these batches."""
        self.rounds += 1
        self.topic_batches = [TopicBatch(self, topic, parts) for topic, parts in batches.items()]
        self.decided = asyncio.Event()
        """Set when all topic batches of the round are decided, or one has failed."""
        self._before = len(self._in_order)

    @property
    def batches(self) -> Iterator[PartitionBatch]:
        """All partition batches decided so far, in the order of the decisions.

        Two topics may feed one table: its changelog needs the states in that order.
        """
        return (batch for topic_batch in self._in_order for batch in topic_batch.batches)

    @property
    def round_batches(self) -> Iterator[PartitionBatch]:
        """The partition batches of the last round."""
        return (batch for topic_batch in self._in_order[self._before :] for batch in topic_batch.batches)

    @property
    def dlq_limit_error(self) -> InvariantBroken | None:
        """The error with which the process exits after the commit; None if no batch reached the limit."""
        return next(
            (batch.dlq_limit_error for batch in self.batches if batch.dlq_limit_error is not None), None
        )

    def batch_decided(self, topic_batch: TopicBatch, failure: BaseException | None) -> None:
        """Add a decided topic batch, or the error that its agent raised."""
        self._in_order.append(topic_batch)
        self.failure = self.failure or failure
        if len(self._in_order) - self._before == len(self.topic_batches) or failure is not None:
            self.decided.set()


class TopicBatch:
    """One topic's part of a round, as its agent gets it.

    Use it as a context manager: leaving the block marks the batch as decided.  An exception
    in the block ends the process before anything is acknowledged; Faust alone would count
    the event as done and go on.  An agent with a table awaits nothing inside the block, so
    the topic batches of one table are decided one after the other.
    """

    __slots__ = ("_cycle", "batches", "topic")

    def __init__(self, cycle: Cycle, topic: str, batches: list[PartitionBatch]) -> None:
        self._cycle: Cycle | None = cycle
        """None once decided: a reference cycle would keep both alive until a garbage collection."""
        self.topic = topic
        self.batches = batches

    @property
    def end(self) -> tuple[TP, int]:
        """The partition and offset that Faust gets for this batch.

        It is the next offset, not the last record's: a batch of timers has no record, and Faust drops
        events below the offset it has sought to.
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
    """Return the records of all batches by partition, in the order of the batches."""
    outbox: Outbox = {}
    for batch in batches:
        for tp, queue in batch.outbox.items():
            outbox.setdefault(tp, []).extend(queue)
    return outbox
