"""Letter run: how many dead letters in a row a source partition has come to.

A record that is carried out ends the row.  One that is passed over neither ends it nor
counts: what the ledger wrote itself (else the failure of each bad payment would end the
row of bad payments), and a letter that was redriven.  The count is the note beside the
partition's committed offset, so it moves in the transaction that parks the letters, and
a restart knows it.
"""

from __future__ import annotations


class ConsecutiveDeadLetters:
    """The row at the end of what is carried out of one share, counted by the records' places in it."""

    __slots__ = ("_count_max", "_next_at", "count")

    def __init__(self, count: int = 0, *, count_max: int = 0) -> None:
        """`count` is what was carried out before has come to; with `count_max` 0 there is no limit."""
        self.count = count
        self._count_max = count_max
        self._next_at = 0
        """Place of the record that would go on with the row."""

    def try_count(self, at: int) -> bool:
        """Count the letter at this place; False, and nothing is counted, when it is one too many."""
        if at != self._next_at:
            self.count = 0
        if self._count_max and self.count >= self._count_max:
            return False
        self.count, self._next_at = self.count + 1, at + 1
        return True

    def skip(self, at: int) -> None:
        """Let the row go on after the record at this place, if it has come to it."""
        if at == self._next_at:
            self._next_at += 1

    def at_end(self, records: int) -> int:
        """Return the letters in a row at the end of a share of so many records."""
        return self.count if self._next_at == records else 0


def encode_offset_metadata(count: int) -> str:
    """Return what is noted beside an offset; empty for no letters, as in an offset of anybody."""
    return str(count) if count else ""


def decode_offset_metadata(metadata: str) -> int:
    """Return the count of a note; a note of somebody else's counts for nothing."""
    return int(metadata) if metadata.isascii() and metadata.isdigit() else 0
