"""ProjectionBatch: a partition's records in a projector's cycle, with the rows that they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from faust.types import TP

from ledger_streams.adapters.postgres.parked_rows import Part
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.engine.batches import PartitionBatch, Record
from ledger_streams.errors import Unreadable
from ledger_streams.ports import WalletView

RowsOf = Callable[["ProjectionBatch", Record], None]


class ProjectionBatch(PartitionBatch):
    """The records of one partition, their rows, and their wallets for the cache."""

    __slots__ = ("checks_partition", "refused", "rows", "rows_of", "wallets")

    def __init__(self, tp: TP, records: Sequence[Record], *, source_next: int) -> None:
        super().__init__(tp, records, source_next=source_next)
        self.rows = SinkBatch(positions={})
        self.wallets: dict[str, WalletView] = {}
        """Newest state of each wallet in this batch, for the cache."""
        self.rows_of: RowsOf | None = None
        """Adds the rows of a record to this batch; raises Unreadable if it cannot be projected."""
        self.refused: dict[int, Unreadable] = {}
        """Errors of records that cannot be projected, by offset; such a batch is written record by record."""
        self.checks_partition = True
        """False for records that were projected before, from whichever partition."""

    def project(self, record: Record) -> None:
        """Add the rows of a record, or the error why it has none."""
        assert self.rows_of is not None, "the agent sets rows_of"
        try:
            self.rows_of(self, record)
        except Unreadable as error:
            self.refused[record.offset] = error

    def part(self, record: Record) -> Part:
        """Return the rows, wallets or error of one record by itself."""
        alone = ProjectionBatch(self.tp, (), source_next=record.offset + 1)
        alone.rows_of, alone.checks_partition = self.rows_of, self.checks_partition
        alone.project(record)
        return Part(record, alone.rows, alone.refused.get(record.offset), alone.wallets)
