"""ProjectionShare: a partition's records in a projector's cycle, and the rows that they become."""

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
    """A partition's records and the rows they become."""

    __slots__ = ("checks_partition", "refused", "rows", "rows_of", "wallets")

    def __init__(self, tp: TP, records: Sequence[Record], *, source_next: int) -> None:
        super().__init__(tp, records, source_next=source_next)
        self.rows = SinkBatch(positions={})
        self.wallets: dict[str, WalletView] = {}
        """Newest state of each wallet in this share, for the cache."""
        self.rows_of: RowsOf | None = None
        """What adds the rows of a record to this share; it raises Unreadable for one that has none."""
        self.refused: dict[int, Unreadable] = {}
        """Why a record cannot be projected, by offset: the share is written record by record then."""
        self.checks_partition = True
        """False for records that were projected before, from wherever they lay."""

    def project(self, record: Record) -> None:
        """Add the rows of a record, or note why there are none."""
        assert self.rows_of is not None, "its agent says what becomes of a record"
        try:
            self.rows_of(self, record)
        except Unreadable as error:
            self.refused[record.offset] = error

    def part(self, record: Record) -> Part:
        """Return what becomes of one record, by itself."""
        alone = ProjectionBatch(self.tp, (), source_next=record.offset + 1)
        alone.rows_of, alone.checks_partition = self.rows_of, self.checks_partition
        alone.project(record)
        return Part(record, alone.rows, alone.refused.get(record.offset), alone.wallets)
