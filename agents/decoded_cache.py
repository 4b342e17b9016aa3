"""Written: what the records say that this worker has just written, so that it need not read them.

Most that a worker alone writes comes back to it: of a transfer's eight records it has made seven.
Reading is a function of a record's key and value, so what was written in them is kept beside these
until a record with the very same ones comes, whichever way it has taken.  Without it, after a
restart or on another worker, the record is read, to the same end.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

GENERATION_RECORDS_MAX: Final = 6_000
"""Records in each of two generations: as many as payments are under way, and more."""
VALUE_BYTES_MAX: Final = 2_000
"""Longer ones, of payments with much metadata, are read: a record of a payment has some 600 bytes."""

T = TypeVar("T")


class DecodedRecordCache(Generic[T]):
    """What was written, by key and value; the older half is forgotten when there is too much of it."""

    def __init__(self) -> None:
        self._recent: dict[tuple[bytes | None, bytes | None], T] = {}
        self._older: dict[tuple[bytes | None, bytes | None], T] = {}

    def keep(self, key: bytes, value: bytes, content: T) -> None:
        """Note that `content` is what reading this key and value would make of them."""
        if len(value) > VALUE_BYTES_MAX:
            return
        if len(self._recent) >= GENERATION_RECORDS_MAX:
            self._older, self._recent = self._recent, {}
        self._recent[key, value] = content

    def take(self, key: bytes | None, value: bytes | None) -> T | None:
        """Return what was written in these, once; None when it has to be read."""
        content = self._recent.pop((key, value), None)
        if content is None:
            content = self._older.pop((key, value), None)
        return content
