"""The hash chains: each row has a hash over the previous row's hash and its own content.

A wallet's events with their postings form one chain, by version.  The records of a source partition
form another, by offset, in whichever table they are.  The hashed content is canonical JSON: sorted
keys, no blanks, numbers by value.  So a document read back from jsonb, which keeps neither order nor
spelling, gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from ledger_streams.adapters.postgres.rows import (
    EventRow,
    PostingRow,
    SinkBatch,
    TopicPartition,
    WalletEventRow,
)

GENESIS: Final = bytes(32)
"""Hash before the first row of a chain."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


def _number(text: str) -> msgspec.Raw:
    """Write a number that is no plain integer by its value, as numeric's trim_scale does: 1.50e1 is 15."""
    digits = format(Decimal(text), "f")
    plain = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return msgspec.Raw(b"0" if plain == "-0" else plain.encode())


_document: Final = msgspec.json.Decoder(float_hook=_number).decode
_canonical: Final = msgspec.json.Encoder(order="sorted").encode


def event_content(row: EventRow) -> bytes:
    """Return the canonical bytes of a row of `events` or `event_repeats`.

    Its offset is not among them: it moves when a lost log is followed by another, the order does not.
    """
    identity = ("event", *row[:3], row.event_version, _us(row.occurred_at), row.topic, row.source_partition)
    return _canonical((*identity, row.correlation_id, row.causation_id, _document(row.event_data)))


def wallet_event_content(row: WalletEventRow, legs: Iterable[PostingRow]) -> bytes:
    """Return the canonical bytes of a row of `wallet_events` and its postings, in order of `leg`.

    Where in the topic it came from is not among them: rows of before that was noted have no place.
    """
    identity = ("wallet_event", *row[:6], *row[8:12], _us(row.occurred_at))
    moved = [(*leg[1:6], _us(leg.occurred_at)) for leg in legs]
    return _canonical((*identity, _document(row.event_data), _document(row.wallet_state), moved))


def _us(at: datetime) -> int:
    return (at - _EPOCH) // _US


def link(before: bytes, content: bytes) -> bytes:
    """Return the hash of a row that comes after one of hash `before`."""
    return sha256(before + content).digest()


class Contents(NamedTuple):
    """Canonical bytes of each row of a batch, computed before the heads of the chains are known."""

    events: list[bytes]
    wallet_events: list[bytes]


def contents(batch: SinkBatch) -> Contents:
    """Return the canonical bytes of a batch."""
    legs = by_event(batch.postings)
    return Contents(
        [event_content(row) for row in batch.events],
        [wallet_event_content(row, legs.get(row.event_id, ())) for row in batch.wallet_events],
    )


def chained_events(
    rows: Sequence[EventRow], contents: Sequence[bytes], heads: dict[TopicPartition, bytes]
) -> list[EventRow]:
    """Return the rows with their hashes; update `heads`, the last hash of each partition."""
    chained = []
    for row, content in zip(rows, contents, strict=True):
        source = row.topic, row.source_partition
        heads[source] = head = link(heads.get(source, GENESIS), content)
        chained.append(EventRow._make((*row[:-1], head)))
    return chained


def chained_wallet_events(
    rows: Sequence[WalletEventRow], contents: Sequence[bytes], heads: dict[str, bytes]
) -> list[WalletEventRow]:
    """Return the rows with their hashes; update `heads`, the last hash of each wallet."""
    chained = []
    for row, content in zip(rows, contents, strict=True):
        heads[row.wallet_id] = head = link(heads.get(row.wallet_id, GENESIS), content)
        chained.append(WalletEventRow._make((*row[:-1], head)))
    return chained


def by_event(postings: Iterable[PostingRow]) -> Mapping[str, Sequence[PostingRow]]:
    """Return the legs of each event."""
    legs: dict[str, list[PostingRow]] = {}
    for posting in postings:
        legs.setdefault(posting.event_id, []).append(posting)
    return legs
