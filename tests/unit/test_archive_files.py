"""The archive's files, without a database: whole, identical and left-over files."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ledger_streams.archive.files import Archive, ArchivedRow, Manifest, file_name
from ledger_streams.archive.months import months_before, parse_month
from ledger_streams.errors import InvariantBroken, Rejected

MONTH = date(2024, 11, 1)
BEGIN = datetime(2024, 11, 1, tzinfo=UTC)


def row(number: int) -> ArchivedRow:
    data = msgspec.Raw(b'{"amount": 1.50, "b": "\\\\\\u00e9"}')
    about = (f"event {number}", "a", "SagaStarted", data, 1, BEGIN + timedelta(microseconds=number))
    return ArchivedRow(*about, "saga-events", 3, number, None, "c", "00" * 32, BEGIN)


def write(archive: Archive, *numbers: int, noted: frozenset[int] = frozenset()) -> Manifest:
    with archive.draft(MONTH) as draft:
        for number in numbers:
            draft.add(row(number))
        return archive.keep(draft, noted=noted, schema=16)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    manifest = write(archive, 1, 2)
    assert list(archive.rows(manifest.file)) == [row(1), row(2)]
    assert archive.problem(manifest) is None
    assert archive.manifests() == [manifest]
    assert manifest.last_occurred_at - manifest.first_occurred_at == timedelta(microseconds=1)


def test_the_same_rows_are_the_same_file_and_others_are_another_part(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    first = write(archive, 1, 2)
    assert write(archive, 1, 2) == first
    second = write(archive, 1, 3)
    assert (second.file, second.part) == ("events_y2024m11.2.jsonl.gz", 2)
    third = write(archive, 1, 2, noted=frozenset({1}))
    assert (third.part, third.sha256) == (3, first.sha256)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_file_left_without_a_manifest_by_a_killed_command_is_rewritten(tmp_path: Path) -> None:
    (tmp_path / file_name(MONTH, 1)).write_bytes(b"half of")
    (tmp_path / f"{file_name(MONTH, 1)}.tmp").write_bytes(b"half of")
    archive = Archive(str(tmp_path))
    assert archive.manifests() == []
    assert write(archive, 1).part == 1
    assert {path.suffix for path in tmp_path.iterdir()} == {".gz", ".json"}


def test_a_damaged_file_with_the_same_content_is_not_kept_in_place_of_a_new_one(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    first = write(archive, 1, 2)
    (tmp_path / first.file).write_bytes(b"")
    second = write(archive, 1, 2)
    assert (second.part, second.sha256, archive.problem(second)) == (2, first.sha256, None)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "events_y2024m11.jsonl.gz.manifest.json").write_text("{}")
    with pytest.raises(InvariantBroken, match="events_y2024m11"):
        Archive(str(tmp_path)).manifests()


@pytest.mark.parametrize(
    ("today", "months", "before"),
    [("2026-11-25", 1, "2026-10"), ("2026-11-25", 24, "2024-11"), ("2026-01-31", 1, "2025-12")],
)
def test_months_are_old_when_so_many_whole_ones_lie_between(today: str, months: int, before: str) -> None:
    assert months_before(date.fromisoformat(today), months) == parse_month(before)


@pytest.mark.parametrize("text", ["2024", "2024-13", "2024-11-01", "November"])
def test_an_invalid_month_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="is not a month"):
        parse_month(text)
