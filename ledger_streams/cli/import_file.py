"""An import file as a whole: which of the three forms it has, and all of its rows.

The form is found by the name (.jsonl, .ndjson, .json) or by what the file begins with;
`.gz` makes no difference.  A payment that stands in the file twice is sent once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, Literal

import msgspec

from ledger_streams.cli.bank_rows import REQUIRED_COLUMNS as BANK_COLUMNS
from ledger_streams.cli.bank_rows import bank_rows
from ledger_streams.cli.payment_rows import REQUIRED_COLUMNS as PAYMENT_COLUMNS
from ledger_streams.cli.payment_rows import csv_rows, json_rows
from ledger_streams.cli.rows import PaymentRow, RefusedRow, Row, UnusableFile, opened

Form = Literal["bank transactions", "payments (JSON lines)", "payments (CSV)"]
JSON_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
REASON_MISMATCH: Final = "duplicate_mismatch"


class ImportFile(msgspec.Struct, frozen=True):
    """All rows of a file; `repeated` counts lines that say again what an earlier line says."""

    form: Form
    rows: tuple[PaymentRow, ...]
    refused: tuple[RefusedRow, ...]
    repeated: int

    @property
    def accounts(self) -> dict[str, str]:
        """Return the accounts of bank transactions by their wallet: `{wallet_id: account_id}`."""
        if self.form != "bank transactions":
            return {}
        return {row.lane: row.data["metadata"]["account_id"] for row in self.rows}


def read_file(path: Path, *, currency: str) -> ImportFile:
    """Read the whole file; raises UnusableFile when it has no form we know."""
    with opened(path) as text:
        form, rows = _form_and_rows(path, text, currency)
        return _told_apart(form, rows)


def _form_and_rows(path: Path, lines: Iterable[str], currency: str) -> tuple[Form, Iterator[Row]]:
    remaining = iter(lines)
    first = next((line for line in remaining), "")
    if not first:
        raise UnusableFile(f"{path}: the file is empty")
    everything = chain([first], remaining)
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if plain.suffix.lower() in JSON_SUFFIXES or first.lstrip().startswith("{"):
        return "payments (JSON lines)", json_rows(everything)
    header = {name.strip().strip('"') for name in first.split(",")}
    if "payment_id" in header:
        return "payments (CSV)", csv_rows(everything)
    if header & {"trans_id", "account_id"}:
        return "bank transactions", bank_rows(everything, currency=currency)
    raise UnusableFile(
        f"{path}: neither bank transactions (columns {', '.join(BANK_COLUMNS)}) nor payments"
        f" (columns {', '.join(PAYMENT_COLUMNS)}, or a JSON object a line)"
    )


def _told_apart(form: Form, rows: Iterable[Row]) -> ImportFile:
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
                refused.append(mismatch(row, f"line {earlier.line} has the same id and other content"))
    return ImportFile(form, tuple(taken.values()), tuple(refused), repeated)


def mismatch(row: PaymentRow, detail: str) -> RefusedRow:
    """Return the refusal of a row whose payment_id stands for other content already."""
    field = "trans_id" if "trans_id" in row.data.get("metadata", {}) else "payment_id"
    return RefusedRow(row.line, field, REASON_MISMATCH, detail)
