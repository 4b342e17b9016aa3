"""Records to be sent, and record batches that the broker has appended, as plain tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

Headers = Sequence[tuple[str, bytes]]

Outgoing = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record to be sent; a plain tuple, since there are many."""

Outbox = dict[TopicPartition, list[Outgoing]]
"""Records to be sent, by partition; a partition with an empty list is only added to the transaction."""


class AppendedBatch(NamedTuple):
    """A record batch of a transaction, with its place in the log."""

    tp: TopicPartition
    first_offset: int
    append_ms: int | None
    """Append time by the broker's clock; None for a topic with CreateTime timestamps."""
    records: Sequence[Outgoing]

    @property
    def last_offset(self) -> int:
        """The offset of its last record."""
        return self.first_offset + len(self.records) - 1
