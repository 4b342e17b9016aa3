"""Rows: what an import file holds, line by line, each readable or refused with its reason.

A row that cannot be read is a result like any other, never an exception: it is
reported with line, field and reason, and the rows after it go on.  Only a file as a
whole can be unusable (not readable, no header, a column missing), which ends the
import before anything is sent.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, TextIO

import click
import msgspec

from ledger_streams.domain.payment import fingerprint, read_request
from ledger_streams.errors import Unreadable

GZIP_MAGIC: Final = b"\x1f\x8b"
LINE_BYTES_MAX: Final = 900_000
"""A record of Kafka is at most 1 MiB, the envelope included."""
REASON_INVALID: Final = "invalid"


class UnusableFile(click.ClickException):
    """The file as a whole cannot be imported; the command ends with exit code 2."""

    exit_code = 2


class RefusedRow(msgspec.Struct, frozen=True):
    """A line of the file that was not taken; `field` is the offending one, if one is."""

    line: int
    field: str | None
    reason: str
    detail: str


class PaymentRow(msgspec.Struct, frozen=True, gc=False):
    """A line of the file as a payment: `data` is PaymentRequested's content, checked.

    Rows of one `lane` are sent strictly one after the other, in the file's order.
    """

    line: int
    lane: str
    payment_id: str
    data: dict[str, Any]
    fingerprint: str


Row = PaymentRow | RefusedRow


def payment_row(line: int, data: dict[str, Any], *, lane: str | None = None) -> Row:
    """Check `data` as a payment's content; without a lane it is independent of all others."""
    try:
        request = read_request(data, at="")
        content = fingerprint(data)
    except Unreadable as error:
        field, _, problem = error.detail.partition(": ")
        return RefusedRow(line, field, error.reason, problem)
    return PaymentRow(line, lane or request.payment_id, request.payment_id, data, content)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open the file as text, gzip or not; bytes that are not UTF-8 come as surrogates, see `is_text`."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            raw.seek(0)
            with (
                gzip.open(raw) if packed else nullcontext(raw) as plain,
                io.TextIOWrapper(plain, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
            ):
                yield text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnusableFile(f"{path}: damaged gzip: {error}") from error
    except OSError as error:
        raise UnusableFile(f"{path}: {error.strerror or error}") from error


def too_long(line: int, written: str) -> RefusedRow | None:
    """Return the refusal of a line that would not fit into a record, or None."""
    if len(written.encode(errors="surrogateescape")) <= LINE_BYTES_MAX:
        return None
    return RefusedRow(line, None, REASON_INVALID, f"longer than {LINE_BYTES_MAX:,} bytes")


def is_text(value: str) -> bool:
    """Say whether what was read was UTF-8 and can be stored: no surrogate, no NUL."""
    return "\x00" not in value and (value.isascii() or not _has_surrogate(value))


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def csv_records(
    lines: Iterable[str], *, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str] | RefusedRow]]:
    """Yield line number and record of each row; a row of another shape comes as a RefusedRow.

    A row is one line: a quote that is never closed spoils its own line and not the rest
    of the file.  Raises UnusableFile when one of `columns` is not in the header.
    """
    numbered = enumerate(lines, start=1)
    header = [name.strip() for name in _cells(next(numbered, (1, ""))[1])]
    if missing := [name for name in columns if name not in header]:
        raise UnusableFile(
            f"column missing: {', '.join(missing)} (the header is: {', '.join(header) or 'empty'})"
        )
    for line, written in numbered:
        if (refused := too_long(line, written)) is not None:
            yield line, refused
            continue
        try:
            values = _cells(written)
        except csv.Error as error:
            yield line, RefusedRow(line, None, REASON_INVALID, f"not CSV: {error}")
            continue
        if values:
            yield line, _record(line, header, values)


def _cells(line: str) -> list[str]:
    return next(csv.reader([line], strict=True), [])


def _record(line: int, header: Sequence[str], values: Sequence[str]) -> dict[str, str] | RefusedRow:
    if len(values) != len(header):
        return RefusedRow(line, None, REASON_INVALID, f"{len(values)} values for {len(header)} columns")
    for name, value in zip(header, values, strict=True):
        if not is_text(value):
            return RefusedRow(line, name, REASON_INVALID, "not UTF-8 text")
    return dict(zip(header, values, strict=True))
