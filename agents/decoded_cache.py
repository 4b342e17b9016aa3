"""DecodedRecordCache: the decoded content of records that this worker has just written.

A worker consumes most records that it writes: seven of a transfer's eight.  Decoding depends on
key and value only, so the writer keeps the content under both until a record with the same bytes
arrives.  After a restart, or on another worker, the record is decoded; the result is the same.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

GENERATION_RECORDS_MAX: Final = 6_000
"""Records in each of two generations: more than the records of all payments in flight."""
VALUE_BYTES_MAX: Final = 2_000
"""Longer values, of payments with much metadata, are not cached; a typical record has 600 bytes."""

T = TypeVar("T")


class DecodedRecordCache(Generic[T]):
    """Decoded content by key and value; a full cache drops its older generation."""

    def __init__(self) -> None:
        self._recent: dict[tuple[bytes | None, bytes | None], T] = {}
        self._older: dict[tuple[bytes | None, bytes | None], T] = {}

    def keep(self, key: bytes, value: bytes, content: T) -> None:
        """Cache `content` as the result of decoding this key and value."""
        if len(value) > VALUE_BYTES_MAX:
            return
        if len(self._recent) >= GENERATION_RECORDS_MAX:
            self._older, self._recent = self._recent, {}
        self._recent[key, value] = content

    def take(self, key: bytes | None, value: bytes | None) -> T | None:
        """Remove and return the content of this key and value; None when the record must be decoded."""
        content = self._recent.pop((key, value), None)
        if content is None:
            content = self._older.pop((key, value), None)
        return content
