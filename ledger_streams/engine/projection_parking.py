"""What a projector does with records that cannot be projected: it parks them, and goes on with the others.

As long as nothing is parked and nothing refused, a cycle is one transaction, and asking is
one look at an empty dict.  Else its partitions are written singly, in pieces, each exactly once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Final

from faust.types import TP

from ledger_streams.adapters.postgres.parked_rows import BEHIND, ParkedRow, Part
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.rows import Advance
from ledger_streams.engine.batches import Record
from ledger_streams.engine.projection_batch import ProjectionBatch
from ledger_streams.errors import Unavailable
from ledger_streams.metrics import PARKED_RECORDS, PARKED_RECORDS_WAITING
from ledger_streams.resilience import retried

log = logging.getLogger(__name__)

PIECE_RECORDS_MAX: Final = 200
"""Of one transaction, so that one in which every record is refused ends in time."""
COUNT_EVERY_S: Final = 2.0
"""How soon it is noticed that a person has retried what was parked, where anything is."""
ADVICE: Final = "`ledger-streams projections parked show` has all of it; RUNBOOK.md, Parked records"


class Parking:
    """The parked records of the partitions that this projector has."""

    def __init__(self, store: PostgresParking) -> None:
        self._store = store
        self._partitions: list[TP] = []
        self._counted_s = 0.0
        self.waiting: dict[TP, int] = {}
        """How many records wait, of those partitions that have any."""

    async def take_over(self, partitions: Sequence[TP]) -> None:
        """Find out what is parked in these partitions."""
        for tp in self._partitions:
            PARKED_RECORDS_WAITING.labels(*tp).set(0)
        self._partitions = list(partitions)
        await self._count()

    async def between_cycles(self) -> None:
        """Look again now and then where something is parked; the next look is as good as one that fails."""
        if not self.waiting or time.monotonic() - self._counted_s < COUNT_EVERY_S:
            return
        try:
            await self._count()
        except Unavailable as error:
            self._counted_s = time.monotonic()
            log.warning("Parked records are not counted: %s", error)

    def concerns(self, batch: ProjectionBatch) -> bool:
        """Tell whether a share has to be written record by record."""
        return bool(batch.refused) or batch.tp in self.waiting

    async def write(self, batch: ProjectionBatch, stored: MutableMapping[TP, int | None]) -> bool:
        """Write a share and park what cannot be written; `stored` moves with each piece.

        False when it is not known what was parked: a commit went unanswered.  The share's wallets
        are then those of its projected records, or none.
        """
        batch.wallets.clear()
        is_known = True
        for records, new in _pieces(batch):
            parts = [batch.part(record) for record in records]
            parked = await self._put(batch.tp, Advance(stored[batch.tp], new), parts)
            stored[batch.tp] = new
            if parked is None:
                is_known = False
                continue
            offsets = {row.source_offset for row in parked}
            for part in parts:
                if part.record.offset not in offsets:
                    batch.wallets.update(part.wallets)
            _log_parked(parked)
        await retried(self._count, purpose="projections wait for PostgreSQL")
        if not is_known:
            batch.wallets.clear()
        return is_known

    async def _put(self, tp: TP, advance: Advance, parts: Sequence[Part]) -> list[ParkedRow] | None:
        place = (tp.topic, tp.partition)
        return await retried(
            lambda: self._store.write(place, advance, parts), purpose="projections wait for PostgreSQL"
        )

    async def _count(self) -> None:
        found = await self._store.waiting([(tp.topic, tp.partition) for tp in self._partitions])
        self.waiting = {TP(*place): count for place, count in found.items()}
        self._counted_s = time.monotonic()
        for tp in self._partitions:
            PARKED_RECORDS_WAITING.labels(*tp).set(self.waiting.get(tp, 0))


def _pieces(batch: ProjectionBatch) -> Iterator[tuple[Sequence[Record], int]]:
    """Yield the records of a share in pieces, each with the position after it."""
    records = batch.records
    last = max(len(records) - 1, 0) // PIECE_RECORDS_MAX * PIECE_RECORDS_MAX
    for first in range(0, last + 1, PIECE_RECORDS_MAX):
        piece = records[first : first + PIECE_RECORDS_MAX]
        yield piece, batch.source_next if first == last else piece[-1].offset + 1


def _log_parked(parked: Sequence[ParkedRow]) -> None:
    for row in parked:
        PARKED_RECORDS.labels(row.topic, row.reason).inc()
        log.log(
            logging.INFO if row.reason == BEHIND else logging.WARNING,
            "Parked %s[%d]@%d instead of projecting it, %s: %s. Later records of %s wait behind it. %s",
            *(row.topic, row.source_partition, row.source_offset, row.reason, row.detail),
            *(row.aggregate_id or "no aggregate", ADVICE),
        )
