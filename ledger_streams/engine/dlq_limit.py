"""Dead letter limit: counts consecutive dead letters of a source partition.

A record that is carried out resets the count.  A skipped record leaves it as it is: records of the
ledger itself (else the failure event of each bad payment would reset the count of bad payments), and
redriven letters.  The count is stored as the metadata of the partition's committed offset, so it moves in
the transaction that parks the letters, and survives a restart.
"""

from __future__ import annotations


class ConsecutiveDeadLetters:
    """The dead letters at the end of one partition batch, by the records' indexes in it."""

    __slots__ = ("_count_max", "_next_at", "count")

    def __init__(self, count: int = 0, *, count_max: int = 0) -> None:
        """Go on from `count` at the end of the batch before; `count_max` 0 means no limit."""
        self.count = count
        self._count_max = count_max
        self._next_at = 0
        """Index of the record that would continue the row."""

    def try_count(self, at: int) -> bool:
        """Count the record at this index; at the limit, return False and count nothing."""
        if at != self._next_at:
            self.count = 0
        if self._count_max and self.count >= self._count_max:
            return False
        self.count, self._next_at = self.count + 1, at + 1
        return True

    def skip(self, at: int) -> None:
        """Let the row continue behind the record at this index, if it has reached it."""
        if at == self._next_at:
            self._next_at += 1

    def at_end(self, records: int) -> int:
        """Return the consecutive dead letters at the end of a batch of `records` records."""
        return self.count if self._next_at == records else 0


def encode_offset_metadata(count: int) -> str:
    """Return the metadata of a committed offset for this count; empty for 0, as without metadata."""
    return str(count) if count else ""


def decode_offset_metadata(metadata: str) -> int:
    """Return the count in a committed offset's metadata; 0 for metadata of another program."""
    return int(metadata) if metadata.isascii() and metadata.isdigit() else 0
