"""Records to be sent in a transaction, and the record batches that the broker has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

Headers = Sequence[tuple[str, bytes]]

Outgoing = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record to be sent; a plain tuple, because a cycle has thousands."""

Outbox = dict[TopicPartition, list[Outgoing]]
"""The records for each partition; an empty list adds the partition to the transaction only."""


class AppendedBatch(NamedTuple):
    """A record batch that the broker has acknowledged, with its place in the log."""

    tp: TopicPartition
    first_offset: int
    append_ms: int | None
    """Append time in ms since 1970; None if the topic does not use the broker's time."""
    records: Sequence[Outgoing]

    @property
    def last_offset(self) -> int:
        """The offset of its last record."""
        return self.first_offset + len(self.records) - 1
