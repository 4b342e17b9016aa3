"""Parked records in a replay: parked again, projected where they were projected later, or left out.

The rebuilt tables are then those that the live projector and its retries have made, with
the same chains, so that days which are closed stay verifiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger_streams.adapters.postgres.parked_rows import record_of
from ledger_streams.kafka.log_reader import Partition
from ledger_streams.kafka.synthetic_record import MadeRecord


class DeferredRecord(NamedTuple):
    """A record that was projected after it had been parked: before which offset, and as which."""

    before: int
    projected_as: int
    record: MadeRecord


class ParkedHistory:
    """What the live projector has parked, as of the last `know`."""

    def __init__(self) -> None:
        self._places: set[tuple[Partition, int]] = set()
        self._later_kinds: dict[Partition, list[DeferredRecord]] = {}
        self._done: dict[Partition, int] = {}
        """How many of them are projected here."""

    def load(self, rows: Sequence[Any]) -> None:
        """Take what is parked now, in the order of `sql/parked.sql`; it only grows."""
        later: dict[Partition, list[DeferredRecord]] = {}
        for row in rows:
            partition = row["topic"], row["source_partition"]
            self._places.add((partition, row["source_offset"]))
            if row["outcome"] == "projected":
                one = DeferredRecord(row["ended_before"], row["projected_as"], record_of(row))
                later.setdefault(partition, []).append(one)
        self._later_kinds = later

    def without_parked(self, partition: Partition, records: Sequence[Any]) -> list[Any]:
        """Return the records that were not parked."""
        if not self._places:
            return list(records)
        return [record for record in records if (partition, record.offset) not in self._places]

    def next_deferred(self, partition: Partition, until: int) -> list[DeferredRecord]:
        """Return those that were projected next, all at one position, if that was at `until` or before."""
        left = self._later_kinds.get(partition, [])[self._done.get(partition, 0) :]
        if not left or left[0].before > until:
            return []
        return [one for one in left if one.before == left[0].before]

    def note_projected(self, partition: Partition, count: int) -> None:
        """Note that so many more are projected here."""
        self._done[partition] = self._done.get(partition, 0) + count
