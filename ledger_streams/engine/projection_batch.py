"""ProjectionShare: a partition's records in a projector's cycle, and the rows that they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from faust.types import TP

from ledger_streams.adapters.postgres.parked_rows import Part
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.engine.batches import Record, Share
from ledger_streams.errors import Unreadable
from ledger_streams.ports import WalletView

RowsOf = Callable[["ProjectionShare", Record], None]


class ProjectionShare(Share):
    """A partition's records and the rows they become."""

    __slots__ = ("batch", "checks_place", "refused", "rows_of", "wallets")

    def __init__(self, tp: TP, records: Sequence[Record], *, source_next: int) -> None:
        super().__init__(tp, records, source_next=source_next)
        self.batch = SinkBatch(positions={})
        self.wallets: dict[str, WalletView] = {}
        """Newest state of each wallet in this share, for the cache."""
        self.rows_of: RowsOf | None = None
        """What adds the rows of a record to this share; it raises Unreadable for one that has none."""
        self.refused: dict[int, Unreadable] = {}
        """Why a record cannot be projected, by offset: the share is written record by record then."""
        self.checks_place = True
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
        alone = ProjectionShare(self.tp, (), source_next=record.offset + 1)
        alone.rows_of, alone.checks_place = self.rows_of, self.checks_place
        alone.project(record)
        return Part(record, alone.batch, alone.refused.get(record.offset), alone.wallets)
