"""A record for the projections with its rows, and its row in `parked_records` when it is parked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from ledger_streams.adapters.postgres.rows import SinkBatch, TopicPartition
from ledger_streams.domain.ids import is_canonical_id
from ledger_streams.errors import Unreadable
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.ports import WalletView

BEHIND: Final = "behind"
"""Reason of a record that waits behind an earlier parked one of its aggregate."""
RETRIED_BELOW: Final = -2
"""A retried record of partition n is chained in partition -2 - n of its topic, with offsets from 0: in its
own place it would change the chains of closed days.  Partition -1 has rows without a place."""


class ParkedRow(NamedTuple):
    """A row of `parked_records` as it is written; `headers` as `headers_text` has them."""

    topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    headers: bytes
    appended_at: datetime
    reason: str
    detail: str
    aggregate_id: str | None


@dataclass(slots=True)
class Part:
    """A record with its rows or its refusal, and the wallets for the cache."""

    record: Any
    batch: SinkBatch
    refusal: Unreadable | None = None
    wallets: Mapping[str, WalletView] = field(default_factory=dict)

    @property
    def aggregate_id(self) -> str | None:
        """The record's key, where it is an id."""
        key: bytes | None = self.record.key
        text = key.decode(errors="replace") if key is not None and len(key) == 36 else ""
        return text if is_canonical_id(text) else None


def parked_row(part: Part, reason: str, detail: str) -> ParkedRow:
    """Return the row of a record that is parked."""
    record = part.record
    appended_at = datetime.fromtimestamp(max(record.timestamp, 0) / 1_000, UTC)
    text = detail.encode(errors="replace").decode().replace("\0", "")
    headers = [(name, base64.b64encode(value or b"").decode()) for name, value in record.headers]
    place = record.topic, record.partition, record.offset
    content = record.key, record.value, msgspec.json.encode(headers)
    return ParkedRow(*place, *content, appended_at, reason, text, part.aggregate_id)


def record_of(row: Any) -> SyntheticRecord:
    """Make the record of a row of `parked_records` again, byte for byte."""
    pairs = msgspec.json.decode(row["headers"], type=list[tuple[str, bytes]])
    appended_ms = round(row["appended_at"].timestamp() * 1_000)
    place = row["topic"], row["source_partition"], row["source_offset"]
    return SyntheticRecord(*place, appended_ms, row["key"], row["value"], pairs)


def retried_partition(partition: TopicPartition) -> TopicPartition:
    """Return the partition in which retried records of `partition` are chained."""
    topic, number = partition
    return topic, RETRIED_BELOW - number


def add(batch: SinkBatch, more: SinkBatch) -> None:
    """Add the rows of a record behind those of earlier ones."""
    batch.events += more.events
    batch.wallet_events += more.wallet_events
    batch.snapshots += more.snapshots
    batch.payments += more.payments
    batch.payment_outcomes += more.payment_outcomes
    batch.refunds += more.refunds
    batch.postings += more.postings


def at_place(batch: SinkBatch, partition: int, offset: int, position: int) -> SinkBatch:
    """Set the place of a record's rows in their chain; a snapshot gets the live position.

    The cache is behind that position, so the next projector also writes the wallet to the cache.
    """
    return SinkBatch(
        {},
        [row._replace(source_partition=partition, source_offset=offset) for row in batch.events],
        [row._replace(source_partition=partition, source_offset=offset) for row in batch.wallet_events],
        [row._replace(source_offset=position) for row in batch.snapshots],
        batch.payments,
        batch.payment_outcomes,
        batch.refunds,
        batch.postings,
    )
