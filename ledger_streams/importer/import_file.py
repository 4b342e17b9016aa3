"""An import file as a whole: its form (one of three) and all of its rows.

The name (.jsonl, .ndjson, .json) or the first line decides the form; `.gz` is ignored.
A payment that occurs twice in the file is sent once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

import msgspec

from ledger_streams.importer.bank_rows import REQUIRED_COLUMNS as BANK_COLUMNS
from ledger_streams.importer.bank_rows import bank_rows
from ledger_streams.importer.csv_records import CsvRecords, header_of, records_of
from ledger_streams.importer.file_lines import Line, Lines, name_of, open_lines
from ledger_streams.importer.payment_rows import REQUIRED_COLUMNS as PAYMENT_COLUMNS
from ledger_streams.importer.payment_rows import csv_rows, json_rows
from ledger_streams.importer.rows import PaymentRow, RefusedRow, Row, UnusableFile

Form = Literal["bank transactions", "payments (JSON lines)", "payments (CSV)"]
JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
REASON_MISMATCH: Final = "duplicate_mismatch"
OTHER_DELIMITERS: Final = {";": "';'", "\t": "tab", "|": "'|'", ",": "','"}


class FileOptions(msgspec.Struct, frozen=True):
    """Options for reading a file; `currency` applies to bank transactions, which have none."""

    currency: str
    encoding: str = "utf-8"
    delimiter: str = ","


class ImportFile(msgspec.Struct, frozen=True):
    """All rows of a file; `repeated` counts rows that equal an earlier row."""

    form: Form
    rows: tuple[PaymentRow, ...]
    refused: tuple[RefusedRow, ...]
    repeated: int

    @property
    def accounts(self) -> dict[str, str]:
        """Return `{wallet_id: account_id}` of bank transactions; empty for payments."""
        if self.form != "bank transactions":
            return {}
        return {row.lane: row.data["metadata"]["account_id"] for row in self.rows}


def read_file(path: Path, *, currency: str, encoding: str = "utf-8", delimiter: str = ",") -> ImportFile:
    """Read the whole file (`-`: standard input); raises UnusableFile if its form is unknown."""
    with open_lines(path, encoding=encoding) as lines:
        form, rows = _read_rows(path, lines, FileOptions(currency, encoding, delimiter))
        return _without_repeats(form, rows)


def _read_rows(path: Path, lines: Lines, reading: FileOptions) -> tuple[Form, Iterator[Row]]:
    first, name = _first_with_text(lines), name_of(path)
    if first is None:
        raise UnusableFile(f"{name}: the file is empty")
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    label = reading.encoding.upper()
    if plain.suffix.lower() in JSON_SUFFIXES or first.text.lstrip().startswith("{"):
        return "payments (JSON lines)", json_rows(lines, encoding=label)
    records = iter(CsvRecords(lines, delimiter=reading.delimiter, name=name))
    header = header_of(records, name=name, encoding=label)
    rows = partial(records_of, records, header, name=name, encoding=label)
    if "payment_id" in header:
        return "payments (CSV)", csv_rows(rows(columns=PAYMENT_COLUMNS))
    if {"trans_id", "account_id"} & set(header):
        return "bank transactions", bank_rows(rows(columns=BANK_COLUMNS), currency=reading.currency)
    raise UnusableFile(_unknown_form(name, first, reading.delimiter))


def _first_with_text(lines: Lines) -> Line | None:
    """Return the first line that is not blank, and put it back."""
    for line in lines:
        if line.text.strip(" \t\r\n"):
            lines.put_back([line])
            return line
    return None


def _unknown_form(name: str, first: Line, delimiter: str) -> str:
    found = [shown for other, shown in OTHER_DELIMITERS.items() if other in first.text and other != delimiter]
    hint = f"; try --delimiter {found[0]}" if found and delimiter not in first.text else ""
    return (
        f"{name}: neither bank transactions (columns {', '.join(BANK_COLUMNS)}) nor payments"
        f" (columns {', '.join(PAYMENT_COLUMNS)}, or one JSON object per line){hint}"
    )


def _without_repeats(form: Form, rows: Iterable[Row]) -> ImportFile:
    taken: dict[str, PaymentRow] = {}
    refused: list[RefusedRow] = []
    repeated = 0
    for row in rows:
        if isinstance(row, RefusedRow):
            refused.append(row)
        elif (earlier := taken.setdefault(row.payment_id, row)) is not row:
            if earlier.fingerprint == row.fingerprint:
                repeated += 1
            else:
                refused.append(mismatch_row(row, f"line {earlier.line} has the same id and other content"))
    return ImportFile(form, tuple(taken.values()), tuple(refused), repeated)


def mismatch_row(row: PaymentRow, detail: str) -> RefusedRow:
    """Return the refused row for a payment_id that is known with other content."""
    field = "trans_id" if "trans_id" in (row.data.get("metadata") or {}) else "payment_id"
    return RefusedRow(row.line, field, REASON_MISMATCH, detail)
