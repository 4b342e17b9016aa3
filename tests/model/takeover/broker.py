"""The broker of the model: one partition, its changelog and its outputs, as immutable values.

As Kafka does it: what a transaction has written is in the log at once, and a reader of
committed records stops where the first one begins that is not settled.  A commit is
decided when it is taken, its markers follow one by one, in any order; offsets are the
group's when their marker is written.  Changelog markers take an offset of their own.
Generations and epochs are only ever compared with the present one: who has an older one
has a flag, so that no counter keeps equal states apart.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

Producer = tuple[int, int]
"""Worker and number: each worker has two transactional ids, which take turns."""


class Status(IntEnum):
    """Of a changelog entry."""

    OPEN = 0
    DECIDED = 1
    """Committed; the marker is not written yet."""
    COMMITTED = 2
    ABORTED = 3
    MARKER = 4


class Entry(NamedTuple):
    """A changelog entry: the state after a cycle, and the source position the cycle leads to."""

    status: Status
    producer: Producer | None = None
    state: bytes = b""
    source_next: int = 0


class Written(NamedTuple):
    """A cycle's records on the output topic; `producer` is None once they are committed or aborted."""

    producer: Producer | None
    outputs: bytes


class Transaction(NamedTuple):
    """One that is not settled."""

    producer: Producer
    is_decided: bool = False
    source_next: int | None = None
    """Pending offsets."""
    is_in_changelog: bool = False
    is_superseded: bool = False
    """Whether offsets sent after these are the group's already."""


class Broker(NamedTuple):
    """Everything that outlives workers."""

    owner: int = 0
    """The worker that the group's present generation gives the partition."""
    group_offset: int | None = None
    changelog: tuple[Entry, ...] = ()
    outputs: tuple[Written, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    """Those with pending offsets last, in the order in which these were sent."""
    late_commits: tuple[tuple[Producer, bool], ...] = ()
    """Commit requests still on their way, and whether their epoch is the present one."""

    def transaction(self, producer: Producer) -> Transaction | None:
        """Return what the producer has under way."""
        return next((found for found in self.transactions if found.producer == producer), None)

    def is_blocked(self, producer: Producer) -> bool:
        """Whether the markers of the producer's last transaction are still being written."""
        found = self.transaction(producer)
        return found is not None and found.is_decided

    def has_pending_offsets(self) -> bool:
        """Whether a reader that requires stable offsets has to wait."""
        return any(found.source_next is not None for found in self.transactions)

    def stable_end(self) -> int:
        """Return where a reader of committed records stops."""
        unsettled = (n for n, entry in enumerate(self.changelog) if entry.status <= Status.DECIDED)
        return next(unsettled, len(self.changelog))

    def kept(self, changelog_next: int | None = None) -> tuple[Entry, ...]:
        """Return the entries before an offset that are committed for good, markers or not."""
        taken = (Status.DECIDED, Status.COMMITTED)
        return tuple(entry for entry in self.changelog[:changelog_next] if entry.status in taken)

    def knows(self, producer: Producer) -> bool:
        """Whether anything of the producer is not settled."""
        late = any(sender == producer for sender, _ in self.late_commits)
        return late or self.transaction(producer) is not None

    def carried_out(self) -> bytes:
        """Return all outputs that are committed for good, in order."""
        return b"".join(written.outputs for written in self.outputs if written.producer is None)


def written(broker: Broker, producer: Producer, outputs: bytes) -> Broker:
    """Append outputs in the producer's transaction."""
    joined = _joined(broker, producer)
    return joined._replace(outputs=(*broker.outputs, Written(producer, outputs)))


def logged(broker: Broker, producer: Producer, state: bytes, source_next: int) -> Broker:
    """Append a state to the changelog in the producer's transaction."""
    joined = _joined(broker, producer, is_in_changelog=True)
    entry = Entry(Status.OPEN, producer, state, source_next)
    return joined._replace(changelog=(*broker.changelog, entry))


def offsets_sent(broker: Broker, producer: Producer, source_next: int) -> Broker:
    """Add the source position to the producer's transaction; who calls has checked the generation."""
    return _joined(broker, producer, source_next=source_next)


def decided(broker: Broker, producer: Producer) -> Broker:
    """Commit: from now on everything is there for good, whatever markers are missing."""
    transaction = broker.transaction(producer)
    if transaction is None or transaction.is_decided:
        return broker
    return _settled_unless_waiting(
        broker._replace(
            changelog=tuple(
                entry._replace(status=Status.DECIDED) if _is_open(entry, producer) else entry
                for entry in broker.changelog
            ),
            outputs=tuple(
                Written(None, written.outputs) if written.producer == producer else written
                for written in broker.outputs
            ),
        ),
        transaction._replace(is_decided=True),
    )


def aborted(broker: Broker, producer: Producer) -> Broker:
    """Abort what the producer has open; the marker is written at once, since nobody sees the difference."""
    transaction = broker.transaction(producer)
    if transaction is None or transaction.is_decided:
        return broker
    changelog = tuple(
        Entry(Status.ABORTED) if _is_open(entry, producer) else entry for entry in broker.changelog
    )
    return broker._replace(
        changelog=(*changelog, Entry(Status.MARKER)) if transaction.is_in_changelog else changelog,
        outputs=tuple(written for written in broker.outputs if written.producer != producer),
        transactions=tuple(other for other in broker.transactions if other != transaction),
    )


def changelog_marked(broker: Broker, transaction: Transaction) -> Broker:
    """Write the marker of a decided transaction into the changelog."""
    changelog = tuple(
        Entry(Status.COMMITTED, None, entry.state, entry.source_next)
        if entry.status == Status.DECIDED and entry.producer == transaction.producer
        else entry
        for entry in broker.changelog
    )
    marked = broker._replace(changelog=(*changelog, Entry(Status.MARKER)))
    return _settled_unless_waiting(marked, transaction._replace(is_in_changelog=False))


def offsets_marked(broker: Broker, transaction: Transaction) -> Broker:
    """Write the marker of a decided transaction into the group's offsets: they are the group's now.

    Unless those of a later one are: the coordinator goes by the order in which they were sent.
    """
    at = broker.transactions.index(transaction)
    earlier = (
        before._replace(is_superseded=before.source_next is not None) for before in broker.transactions[:at]
    )
    marked = broker._replace(
        group_offset=broker.group_offset if transaction.is_superseded else transaction.source_next,
        transactions=(*earlier, *broker.transactions[at:]),
    )
    return _settled_unless_waiting(marked, transaction._replace(source_next=None, is_superseded=False))


def producers_started(broker: Broker, worker: int, *, forgets_late: bool = True) -> Broker | None:
    """Start a worker's producers anew; None while the markers of its last ones are being written.

    Their open transactions are aborted, and their epoch is fenced.  The broker would refuse
    their requests in flight; the model drops these at once, unless they are asked for.
    """
    for producer in ((worker, 0), (worker, 1)):
        if broker.is_blocked(producer):
            return None
        broker = with_new_epoch(aborted(broker, producer), producer)
    if forgets_late and broker.late_commits:
        return broker._replace(late_commits=tuple(late for late in broker.late_commits if late[1]))
    return broker


def with_new_epoch(broker: Broker, producer: Producer) -> Broker:
    """Make what a producer still has on its way come too late: it will be refused."""
    if not broker.late_commits:
        return broker
    late = {(sender, now and sender != producer) for sender, now in broker.late_commits}
    return broker._replace(late_commits=tuple(sorted(late)))


def _joined(
    broker: Broker,
    producer: Producer,
    *,
    source_next: int | None = None,
    is_in_changelog: bool = False,
) -> Broker:
    before = broker.transaction(producer) or Transaction(producer)
    after = before._replace(
        source_next=before.source_next if source_next is None else source_next,
        is_in_changelog=before.is_in_changelog or is_in_changelog,
    )
    return _with(broker, after)


def _with(broker: Broker, transaction: Transaction) -> Broker:
    producer = transaction.producer
    known = broker.transaction(producer)
    if known is not None and (known.source_next is None) == (transaction.source_next is None):
        in_place = (transaction if other == known else other for other in broker.transactions)
        return broker._replace(transactions=tuple(in_place))
    others = (*(other for other in broker.transactions if other.producer != producer), transaction)
    plain = sorted((other for other in others if other.source_next is None), key=_producer_of)
    pending = (other for other in others if other.source_next is not None)
    return broker._replace(transactions=(*plain, *pending))


def _settled_unless_waiting(broker: Broker, transaction: Transaction) -> Broker:
    if transaction.source_next is not None or transaction.is_in_changelog:
        return _with(broker, transaction)
    others = (other for other in broker.transactions if other.producer != transaction.producer)
    return broker._replace(transactions=tuple(others))


def _producer_of(transaction: Transaction) -> Producer:
    return transaction.producer


def _is_open(entry: Entry, producer: Producer) -> bool:
    return entry.status == Status.OPEN and entry.producer == producer
