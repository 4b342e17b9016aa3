"""Payments in a file: PaymentRequested's `data`, a JSON object or a CSV row a line.

Each must name its payment_id: that is what makes an import safe to repeat.  In CSV an
empty cell is null and `metadata` is a JSON object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from ledger_streams.cli.rows import (
    REASON_INVALID,
    RefusedRow,
    Row,
    csv_records,
    is_text,
    payment_row,
    too_long,
)

REQUIRED_COLUMNS: Final = ("payment_id", "kind", "amount", "currency")
_decoder = msgspec.json.Decoder()


def json_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield each line's object as a payment, or refused; empty lines are skipped."""
    for line, written in enumerate(lines, start=1):
        if written.strip():
            yield _json_row(line, written)


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Yield each CSV row as a payment, or refused."""
    for line, record in csv_records(lines, columns=REQUIRED_COLUMNS):
        yield record if isinstance(record, RefusedRow) else _csv_row(line, record)


def _json_row(line: int, written: str) -> Row:
    if (refused := too_long(line, written)) is not None:
        return refused
    if not is_text(written):
        return RefusedRow(line, None, REASON_INVALID, "not UTF-8 text")
    try:
        data = _decoder.decode(written)
    except (msgspec.DecodeError, RecursionError) as error:
        return RefusedRow(line, None, REASON_INVALID, f"not JSON: {error}")
    if not isinstance(data, dict):
        return RefusedRow(line, None, REASON_INVALID, "must be a JSON object")
    return payment_row(line, data)


def _csv_row(line: int, record: dict[str, str]) -> Row:
    data: dict[str, Any] = {name: value for name, value in record.items() if value}
    if "metadata" in data:
        try:
            data["metadata"] = _decoder.decode(data["metadata"])
        except (msgspec.DecodeError, RecursionError):
            return RefusedRow(line, "metadata", REASON_INVALID, "must be a JSON object")
    return payment_row(line, data)
