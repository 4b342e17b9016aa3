"""CSV records by RFC 4180: a record ends at a line end outside of quotes.

A line break in a quoted cell belongs to the cell.  A record with malformed quotes is
refused together with all lines that may belong to it.  After a quote that is never
closed, rows cannot be told apart, so the file is unusable.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Final

from ledger_streams.importer.characters import invisible, is_text
from ledger_streams.importer.file_lines import Line, Lines, utf8_bytes
from ledger_streams.importer.rows import (
    REASON_INVALID,
    RECORD_BYTES_MAX,
    RefusedRow,
    UnusableFile,
    oversized_row,
)

BROKEN_QUOTES: Final = (
    "not CSV: a quote inside an unquoted cell, or text after a closing quote"
    " (quote the whole cell and double a quote inside it)"
)
NUL: Final = "\0"
LONE_RETURN: Final = "not CSV: a carriage return without a line feed"
Cells = tuple[int, list[str] | RefusedRow]
"""Number of a record's first line, and its cells or its refusal."""


class Shape(Enum):
    """State of a record after one of its lines."""

    CLOSED = auto()
    """The record ends here."""
    OPEN = auto()
    """The line ends inside a quoted cell: the record continues."""
    BROKEN = auto()
    """The quotes violate RFC 4180."""


def shape_of(line: Line, *, quoted: bool, delimiter: str) -> Shape:
    """Return the state after a line; `quoted` says that the line begins inside a quoted cell.

    Split at its quotes, a line alternates between text outside and inside of quoted cells.  Between
    two quoted cells there is at least a delimiter; an empty piece is a doubled quote.
    """
    open_after = quoted ^ bool(line.quotes % 2)
    if line.whole and line.quotes:
        pieces = (line.text if open_after else _without_end(line.text)).split('"')
        last = len(pieces) - 1
        for at in range(1 if quoted else 0, last + 1, 2):
            piece = pieces[at]
            begins = at == 0 or not piece or piece.startswith(delimiter)
            ends = at == last or not piece or piece.endswith(delimiter)
            if not (begins and ends):
                return Shape.BROKEN
    return Shape.OPEN if open_after else Shape.CLOSED


class CsvRecords:
    """The records of a CSV file, header first; blank lines are skipped."""

    def __init__(self, lines: Lines, *, delimiter: str, name: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._name = name
        csv.field_size_limit(RECORD_BYTES_MAX)

    def __iter__(self) -> Iterator[Cells]:
        """Yield the cells of each record, or its refusal; raises UnusableFile if a quote is never closed."""
        for line in self._lines:
            if line.text.strip("\r\n"):
                yield line.number, self._record(line)

    def _record(self, first: Line) -> list[str] | RefusedRow:
        line, texts, size, quoted = first, [first.text], utf8_bytes(first.text), False
        is_long = not first.whole
        while (shape := self._shape(line, quoted=quoted)) is Shape.OPEN:
            line, quoted = self._within(first), True
            size += utf8_bytes(line.text)
            is_long = is_long or not line.whole or size > RECORD_BYTES_MAX
            if is_long:
                texts.clear()
            else:
                texts.append(line.text)
        if shape is Shape.BROKEN:
            self._skip_broken(first, line)
            return RefusedRow(first.number, None, REASON_INVALID, BROKEN_QUOTES)
        return oversized_row(first.number) if is_long else self._cells(first.number, "".join(texts))

    def _shape(self, line: Line, *, quoted: bool) -> Shape:
        return shape_of(line, quoted=quoted, delimiter=self._delimiter)

    def _within(self, first: Line) -> Line:
        line = self._lines.next()
        if line is None:
            raise UnusableFile(f"{self._name}: a quote opened in line {first.number} is never closed")
        return line

    def _skip_broken(self, first: Line, line: Line) -> None:
        """Skip the lines that may belong to the record that is broken in `line`.

        The next quote decides: a quote that opens a cell belongs to a new record, any other
        quote may close the cell that the broken line has opened.
        """
        while (quoting := self._next_with_quotes()) is not None:
            skipped, following = quoting
            if self._opens(following):
                if line.quotes % 2 and self._shape(following, quoted=False) is not Shape.CLOSED:
                    lines = f"{first.number} and {following.number}"
                    raise UnusableFile(f"{self._name}: the quotes in lines {lines} do not match")
                self._lines.put_back([*skipped, following])
                return
            line = following
            while (shape := self._shape(line, quoted=True)) is Shape.OPEN:
                line = self._within(first)
            if shape is Shape.CLOSED:
                return

    def _next_with_quotes(self) -> tuple[list[Line], Line] | None:
        """Take the lines up to the next line with a quote; put them back if it is too far for one record."""
        taken: list[Line] = []
        size = 0
        while size <= RECORD_BYTES_MAX and (line := self._lines.next()) is not None:
            if line.quotes:
                return taken, line
            taken.append(line)
            size += utf8_bytes(line.text)
        self._lines.put_back(taken)
        return None

    def _opens(self, line: Line) -> bool:
        """Return whether the line's first quote opens a cell (and the cell has content)."""
        before, _, after = line.text.partition('"')
        is_at_start = not before or before.endswith(self._delimiter)
        return is_at_start and not after.startswith((self._delimiter, "\r", "\n")) and bool(after)

    def _cells(self, line: int, text: str) -> list[str] | RefusedRow:
        written = _without_end(text)
        if written.endswith("\r"):
            return RefusedRow(line, None, REASON_INVALID, LONE_RETURN)
        try:
            return next(csv.reader([written], delimiter=self._delimiter, strict=True), [])
        except csv.Error as error:
            problem = LONE_RETURN if "new-line" in str(error) else f"not CSV: {error}"
            return RefusedRow(line, None, REASON_INVALID, problem)


def header_of(records: Iterator[Cells], *, name: str, encoding: str) -> list[str]:
    """Return the header's column names; raises UnusableFile unless they are visible text and unique."""
    _, cells = next(records, (0, [""]))
    if isinstance(cells, RefusedRow):
        raise UnusableFile(f"{name}: the header is {cells.detail}")
    header = [cell.strip(" \t") for cell in cells]
    for number, column in enumerate(header, start=1):
        if NUL in column:
            raise UnusableFile(f"{name}: the name of column {number} contains the character U+0000")
        if not is_text(column):
            raise UnusableFile(f"{name}: the name of column {number} is not {encoding} text (see --encoding)")
        if (unseen := invisible(column)) is not None:
            hint = " (see --delimiter)" if "\t" in column else ""
            problem = f"the name of column {number} contains an invisible character, {unseen}{hint}"
            raise UnusableFile(f"{name}: {problem}")
        if not column and len(header) > 1:
            raise UnusableFile(f"{name}: column {number} has no name")
        if header.index(column) < number - 1:
            raise UnusableFile(f"{name}: column {column} occurs twice in the header")
    return header


def records_of(
    records: Iterator[Cells], header: Sequence[str], *, columns: Sequence[str], name: str, encoding: str
) -> Iterator[tuple[int, dict[str, str] | RefusedRow]]:
    """Yield line number and record of each row; a row with other columns comes as a RefusedRow.

    Raises UnusableFile if one of `columns` is not in the header.
    """
    if missing := [column for column in columns if column not in header]:
        raise UnusableFile(
            f"{name}: column missing: {', '.join(missing)} (the header is: {', '.join(header)})"
        )
    for line, cells in records:
        yield line, cells if isinstance(cells, RefusedRow) else _record(line, header, cells, encoding)


def _record(
    line: int, header: Sequence[str], cells: Sequence[str], encoding: str
) -> dict[str, str] | RefusedRow:
    if len(cells) != len(header):
        return RefusedRow(line, None, REASON_INVALID, f"{len(cells)} values for {len(header)} columns")
    for column, cell in zip(header, cells, strict=True):
        if not is_text(cell):
            problem = f"{'contains U+0000; ' if NUL in cell else ''}not {encoding} text that can be stored"
            return RefusedRow(line, column, REASON_INVALID, problem)
    return dict(zip(header, cells, strict=True))


def _without_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
