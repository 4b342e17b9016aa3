"""Committer: what the consumer of cycles asks of a kind of worker."""

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
    """What a kind of worker does with its cycles: the ledger's or the projector's way."""

    loopback: LoopbackQueue
    """What it has committed for itself, and need not read."""

    async def take_over(
        self, assigned: frozenset[TP], membership: Membership, progress: TakeoverProgress
    ) -> Mapping[TP, int]:
        """Make the partitions one's own and return the position each is to be read from."""

    def due(self, read_until_ms: Callable[[TP], int]) -> Mapping[TP, Sequence[Due]]:
        """Return the deadlines that have come, by the partition whose agent decides them.

        Only those up to the time for which every record of their sources has been read.
        """

    def next_due_ms(self) -> int | None:
        """Return when the next deadline comes; None without one."""

    def new_batch(
        self, tp: TP, records: Sequence[Record], due: Sequence[Due], past_markers_to: int = 0
    ) -> PartitionBatch | None:
        """Return the share of these, without records already carried out; None when nothing is left.

        `passed_to` is a position before which there is nothing more in the partition, if one is known.
        """

    async def advance(self, cycle: Cycle, read_to: Callable[[TP], int]) -> Mapping[TP, Sequence[Record]]:
        """Return what of the cycle's last round can be carried out in it, by partition; else commit.

        A commit makes everything the cycle has caused durable at once.  `read_to` is the consumer's
        position, past all that its polls have brought.  Raises `CycleLost` when it did not happen.
        """

    async def abort(self) -> None:
        """Undo what has been sent of a cycle that nobody goes on with; the next takeover forgets the rest."""

    async def between_cycles(self) -> None:
        """Do what has to be done now and then while no cycle is under way; most calls do nothing."""

    async def close(self) -> None:
        """Release everything, for good."""
