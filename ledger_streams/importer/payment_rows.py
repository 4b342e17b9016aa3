"""Payments in a file: the `data` of PaymentRequested, one JSON object or CSV row each.

Each row must have a payment_id, which makes the import safe to repeat.  In CSV an empty
cell is null, and `metadata` is a JSON object.  A row with an unknown field is refused,
since its content would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain.payment import FIELDS
from ledger_streams.errors import Unreadable
from ledger_streams.importer.characters import is_text
from ledger_streams.importer.file_lines import Line
from ledger_streams.importer.rows import (
    REASON_INVALID,
    RefusedRow,
    Row,
    oversized_row,
    payment_row,
    refused_row,
)
from ledger_streams.wire.repeated_keys import find_repeated_key

REQUIRED_COLUMNS: Final = ("payment_id", "kind", "amount", "currency")
NAME_CHARACTERS_MAX: Final = 100
INEXACT: Final = "contains a number with more digits than can be stored; write it as text"


def json_rows(lines: Iterable[Line], *, encoding: str) -> Iterator[Row]:
    """Yield each line's object as a payment or a refused row; skips empty lines."""
    for line in lines:
        if line.text.strip(" \t\r\n"):
            yield _json_row(line, encoding)


def csv_rows(records: Iterable[tuple[int, dict[str, str] | RefusedRow]]) -> Iterator[Row]:
    """Yield each CSV record as a payment or a refused row."""
    for line, record in records:
        yield record if isinstance(record, RefusedRow) else _csv_row(line, record)


def _json_row(line: Line, encoding: str) -> Row:
    if not line.whole:
        return oversized_row(line.number)
    if not is_text(line.text):
        return RefusedRow(line.number, None, REASON_INVALID, f"not {encoding} text that can be stored")
    text = line.text.encode()
    try:
        data = decode_object(text)
    except Unreadable as error:
        refused = refused_row(line.number, error)
        return msgspec.structs.replace(refused, field=refused.field or repeated_field(text, error))
    return _known_fields_only(line.number, data) or payment_row(line.number, data)


def _csv_row(line: int, record: dict[str, str]) -> Row:
    if (refused := _known_fields_only(line, record)) is not None:
        return refused
    data: dict[str, Any] = {name: value for name, value in record.items() if value}
    if "metadata" in data:
        try:
            data["metadata"] = decode_object(data["metadata"].encode(), at="metadata.")
        except Unreadable as error:
            return refused_row(line, error)
    return payment_row(line, data)


def decode_object(text: bytes, *, at: str = "") -> dict[str, Any]:
    """Decode a JSON object; raises Unreadable with the field if a number would lose digits."""
    data = wire.read_document(text, at=at)
    try:
        _exact_numbers(text)
    except msgspec.ValidationError:
        field = at.rstrip(".") or next((name for name in data if _is_inexact(text, name)), "value")
        raise Unreadable(reason=REASON_INVALID, detail=f"{field}: {INEXACT}") from None
    return data


def repeated_field(text: bytes, error: Unreadable) -> str | None:
    """Return the key that stands twice in the text, when that is why it was not read."""
    if not isinstance(error, wire.RepeatedKey):
        return None
    repeated = find_repeated_key(text)
    return None if repeated is None else bounded_name(repeated)


def bounded_name(name: str) -> str:
    """Return a field's name for the report, bounded and with unprintable characters escaped."""
    shown = name if name.isprintable() else name.encode("unicode_escape").decode()
    return shown[:NAME_CHARACTERS_MAX]


def _known_fields_only(line: int, row: Iterable[str]) -> RefusedRow | None:
    unknown = next((name for name in row if name not in FIELDS), None)
    if unknown is None:
        return None
    return RefusedRow(
        line, bounded_name(unknown), REASON_INVALID, "not a field of a payment (see `import --help`)"
    )


def _exact(text: str) -> float:
    value = float(text)
    if Decimal(text) != Decimal(repr(value)):
        raise msgspec.ValidationError(INEXACT)
    return value


_exact_numbers = msgspec.json.Decoder(float_hook=_exact).decode
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _is_inexact(text: bytes, name: str) -> bool:
    try:
        _exact_numbers(_raw_fields(text)[name])
    except msgspec.ValidationError:
        return True
    return False
