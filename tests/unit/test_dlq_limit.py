"""The limit of consecutive dead letters: which records count, and where a batch is cut."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from faust.types import TP

from ledger_streams.engine.batches import PartitionBatch, Record
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.dlq_limit import (
    ConsecutiveDeadLetters,
    decode_offset_metadata,
    encode_offset_metadata,
)
from ledger_streams.errors import Unreadable

TP_3 = TP("payment-events", 3)
LETTERS = TP("payment-events.dlq", 3)


class Raw(msgspec.Struct):
    """A record of the log; its value selects the behaviour of the agent below."""

    offset: int
    value: bytes | None
    topic: str = TP_3.topic
    partition: int = TP_3.partition
    timestamp: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def batch_of(kinds: str, *, before: int = 0, count_max: int = 3) -> PartitionBatch:
    """Return a batch, a record a letter: b(ad), r(edriven, bad), g(ood), o(utcome), at 100, 102, ..."""
    redriven = (("dlq.redriven", b"payment-events.dlq:3:4"),)
    records: list[Record] = [
        Raw(100 + 2 * at, kind.encode(), headers=redriven if kind == "r" else ())
        for at, kind in enumerate(kinds)
    ]
    run = ConsecutiveDeadLetters(before, count_max=count_max)
    return PartitionBatch(TP_3, records, source_next=100 + 2 * len(kinds) - 1, dead_letters=run)


def decided(batch: PartitionBatch) -> list[int]:
    """Decide the batch as an agent does and return the offsets of its records."""
    seen = []
    for record in batch.records:
        seen.append(record.offset)
        if record.value in (b"b", b"r"):
            park(batch, record, Unreadable(reason="invalid", detail="value: bad"))
        elif record.value == b"o":
            batch.skip(record)
    return seen


@pytest.mark.parametrize(
    ("kinds", "before", "in_a_row"),
    [
        ("", 2, 2),
        ("g", 2, 0),
        ("bb", 0, 2),
        ("b", 2, 3),
        ("gbb", 2, 2),
        ("bbg", 0, 0),
        ("bgbb", 2, 2),
        ("o", 2, 2),
        ("obo", 1, 2),
        ("bogob", 1, 1),
        ("oggb", 3, 1),
        ("rrrrr", 3, 3),
        ("brrb", 1, 3),
        ("rrrrr", 0, 0),
    ],
)
def test_a_good_record_resets_the_count_and_an_outcome_or_a_redriven_letter_does_not(
    kinds: str, before: int, in_a_row: int
) -> None:
    batch = batch_of(kinds, before=before)
    decided(batch)
    assert batch.dead_letters.at_end(len(batch.records)) == in_a_row
    assert batch.dlq_limit_error is None


@pytest.mark.parametrize(
    ("kinds", "before", "letters", "source_next"),
    [
        ("bbbbg", 0, 3, 106),
        ("b", 3, 0, 100),
        ("gbbobobg", 3, 3, 112),
        ("bbbb", 1, 2, 104),
        ("rrbr", 3, 2, 104),
    ],
)
def test_a_letter_beyond_the_limit_cuts_the_batch_before_it(
    kinds: str, before: int, letters: int, source_next: int
) -> None:
    batch = batch_of(kinds, before=before)
    assert decided(batch)[-1] == source_next, "nothing beyond it is decided"
    assert len(batch.outbox.get(LETTERS, [])) == letters
    assert batch.source_next == source_next
    assert batch.dead_letters.at_end(len(batch.records)) == 3
    assert f"payment-events[3]@{source_next} would be dead letter 4 in a row" in str(batch.dlq_limit_error)
    assert "LEDGER_DEAD_LETTERS_IN_A_ROW_MAX" in str(batch.dlq_limit_error)


def test_without_a_limit_letters_are_counted_and_all_are_parked() -> None:
    batch = batch_of("b" * 50, before=7, count_max=0)
    decided(batch)
    assert len(batch.outbox[LETTERS]) == 50
    assert batch.dead_letters.at_end(50) == 57


def test_a_letter_keeps_the_header_with_its_former_place() -> None:
    batch = batch_of("")
    redriven = ("dlq.redriven", b"payment-events.dlq:3:4")
    record = Raw(100, b"b", headers=(redriven, ("dlq.reason", b"forged"), ("trace", b"t")))
    batch.records.append(record)
    assert park(batch, record, Unreadable(reason="invalid", detail="no"))
    headers = batch.outbox[LETTERS][0][2]
    assert headers[:2] == (redriven, ("trace", b"t"))
    assert dict(headers)["dlq.reason"] == b"invalid"


@pytest.mark.parametrize("count", [0, 1, 20, 1_000_000])
def test_the_offset_metadata_is_read_as_written(count: int) -> None:
    assert decode_offset_metadata(encode_offset_metadata(count)) == count


@pytest.mark.parametrize("metadata", ["", "by hand", "-1", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_foreign_offset_metadata_counts_as_zero(metadata: str) -> None:
    assert decode_offset_metadata(metadata) == 0
