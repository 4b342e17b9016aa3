"""Committer: the protocol between the consumer and the two ways to commit a cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from faust.types import TP

from ledger_streams.engine.batches import Cycle, PartitionBatch, Record
from ledger_streams.engine.loopback import LoopbackQueue
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.engine.state.timers import Due
from ledger_streams.kafka.fenced_offsets import Membership


class Committer(Protocol):
    """Commits cycles: the ledger's workers and gateways to Kafka, projectors to PostgreSQL."""

    loopback: LoopbackQueue
    """Own records, ready before the consumer reads them back."""

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, progress: TakeoverProgress
    ) -> Mapping[TP, int]:
        """Fence the last owner, load the state, and return the source offset of each partition."""

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return the expired timers, by the partition whose agent decides them.

        A timer has expired when all records of its sources up to its time have been read;
        `read_until_ms` returns that time for a source.
        """

    def next_due_ms(self) -> int | None:
        """Return the time of the next timer in ms since 1970; None without one."""

    def new_batch(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], past_markers_to: int = 0
    ) -> PartitionBatch | None:
        """Return a batch of these, without records already carried out; None if it would be empty.

        `past_markers_to` is the offset up to which the partition has only markers, 0 if unknown.
        """

    async def advance(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Return the records of the next round by partition, or commit the cycle and return nothing.

        A commit makes all effects of the cycle durable at once.  `read_to` returns the consumer's
        position in a partition.  Raises `CycleLost` if the commit failed or its outcome is unknown.
        """

    async def abort(self) -> None:
        """Abort the transaction of an unfinished cycle; the next takeover drops its other effects."""

    async def between_cycles(self) -> None:
        """Run periodic checks while no cycle is in flight; most calls return at once."""

    async def close(self) -> None:
        """Release all resources."""
