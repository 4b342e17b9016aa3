"""Parked records in a rebuild: parked again, or projected at the place of their retry.

The rebuilt tables equal those of the live projector and its retries, with the same chains, so
closed days stay verifiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger_streams.adapters.postgres.parked_rows import record_of
from ledger_streams.kafka.log_reader import Partition
from ledger_streams.kafka.synthetic_record import SyntheticRecord


class DeferredRecord(NamedTuple):
    """A parked record that was projected later: before offset `before`, as number `projected_as`."""

    before: int
    projected_as: int
    record: SyntheticRecord


class ParkedHistory:
    """Records that the live projector has parked, as of the last `load`."""

    def __init__(self) -> None:
        self._places: set[tuple[Partition, int]] = set()
        self._later_kinds: dict[Partition, list[DeferredRecord]] = {}
        self._done: dict[Partition, int] = {}
        """Number of deferred records projected by this rebuild."""

    def load(self, rows: Sequence[Any]) -> None:
        """Load all parked records in the order of `sql/parked.sql`; the set only grows."""
        later: dict[Partition, list[DeferredRecord]] = {}
        for row in rows:
            partition = row["topic"], row["source_partition"]
            self._places.add((partition, row["source_offset"]))
            if row["outcome"] == "projected":
                one = DeferredRecord(row["ended_before"], row["projected_as"], record_of(row))
                later.setdefault(partition, []).append(one)
        self._later_kinds = later

    def without_parked(self, partition: Partition, records: Sequence[Any]) -> list[Any]:
        """Return the records without parked ones."""
        if not self._places:
            return list(records)
        return [record for record in records if (partition, record.offset) not in self._places]

    def next_deferred(self, partition: Partition, until: int) -> list[DeferredRecord]:
        """Return the next deferred records, all of one position, if that is at most `until`."""
        left = self._later_kinds.get(partition, [])[self._done.get(partition, 0) :]
        if not left or left[0].before > until:
            return []
        return [one for one in left if one.before == left[0].before]

    def note_projected(self, partition: Partition, count: int) -> None:
        """Count deferred records as projected by this rebuild."""
        self._done[partition] = self._done.get(partition, 0) + count
