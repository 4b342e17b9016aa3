"""Documents: the check of a JSON object, the same before it is sent and when it is read.

`check_sendable` tests whether workers can read an object and PostgreSQL can store it;
`read_document` parses text under the same rules.  A document is JSON in UTF-8 without
repeated keys, U+0000 or lone surrogates.  Its nesting is bounded, and so is the length of
its numbers with their exponents written out.  It leaves room for the envelopes of the events
that carry it.  An error names a field by plain names only and repeats no other input text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from ledger_streams.domain.money import invalid
from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unreadable
from ledger_streams.wire.document_parts import (
    DEPTH_MAX,
    NUMBER_DIGITS_MAX,
    check_expansion,
    check_number_parts,
    check_parts,
    is_deeper,
    number,
    whole,
    within,
)
from ledger_streams.wire.repeated_keys import key_text, repeated_key

RECORD_BYTES_MAX: Final = 1_000_000
"""Maximum size of a record's value; with headers and batch it fits into the broker's 1 MiB."""
ENVELOPE_BYTES_MAX: Final = 1_000
"""Room for the envelope around `data`: its fields have at most about 500 bytes together."""
DATA_BYTES_MAX: Final = RECORD_BYTES_MAX - ENVELOPE_BYTES_MAX
"""Maximum size of `data`, as it is sent and with the exponents of its numbers written out (jsonb)."""
DETAIL_CHARACTERS_MAX: Final = 300

_NUL_ESCAPED: Final = b"\\u0000"
_BACKSLASH, _BRACKET = b"\\["
"""Byte values as integers: `in` finds an integer in bytes several times faster than a string of one."""
_broken: Final = (msgspec.MsgspecError, ValueError, RecursionError)
T = TypeVar("T")


class NotJson(Unreadable):
    """The bytes are not JSON in UTF-8."""


class RepeatedKey(NotJson):
    """One object repeats a key, and readers would differ on its value."""


encode: Final = msgspec.json.Encoder().encode
_any: Final = msgspec.json.Decoder(float_hook=number).decode


def check_sendable(data: Mapping[str, object], *, at: str = "") -> None:
    """Raise Unreadable, naming the field, unless `data` can be sent, read and stored.

    `at` is the prefix of field names.  `data` is the decoded content of an event or a command.
    """
    check_parts(data, at=at)
    try:
        text = encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise invalid(whole(at), "contains a value that JSON does not have") from None
    if len(text) > DATA_BYTES_MAX:  # the error names the largest field
        field = max(data, key=lambda name: len(encode(data[name])))
        problem = f"is too long: the content has {len(text)} bytes as JSON, the maximum is {DATA_BYTES_MAX}"
        raise invalid(within(at.rstrip("."), field) or whole(at), problem)
    read_document(text, at=at)


def read_document(text: bytes, *, at: str = "") -> dict[str, Any]:
    """Parse JSON input that must be an object; raises Unreadable.

    `at` is the prefix of field names.
    """
    return _read(text, at, DEPTH_MAX, DATA_BYTES_MAX)


def read_object(raw: msgspec.Raw, at: str = "data") -> dict[str, Any]:
    """Parse the JSON in a record's field `at`, as `read_document` does."""
    return read_document(bytes(raw), at=f"{at}.")


def read_record(value: bytes | None) -> dict[str, Any]:
    """Parse a record's value including its envelope; raises Unreadable."""
    return _read(bytes_of(value), "", DEPTH_MAX + 1, RECORD_BYTES_MAX)


def bytes_of(value: bytes | None) -> bytes:
    """Return a record's value; raises Unreadable for none, or one that is too long."""
    if value is None:
        raise invalid("value", "is empty, must be a JSON object")
    if len(value) > RECORD_BYTES_MAX:
        raise invalid("value", f"has {len(value)} bytes, the maximum is {RECORD_BYTES_MAX}")
    return value


def check_room(data: bytes, *, at: str) -> None:
    """Raise Unreadable when unparsed `data` leaves too little room for the envelope around it."""
    if len(data) > DATA_BYTES_MAX:
        raise invalid(whole(at), f"has {len(data)} bytes, the maximum is {DATA_BYTES_MAX}")
    check_expansion(data, at=at, bytes_max=DATA_BYTES_MAX)


def _read(text: bytes, at: str, depth_max: int, bytes_max: int) -> dict[str, Any]:
    try:
        document = _any(text)
    except msgspec.ValidationError as error:
        _invalid_number(text, error, at=at, depth_max=depth_max)
    except _broken as error:
        raise not_json(whole(at), _why_not_json(error)) from None
    if not isinstance(document, dict):
        raise invalid(whole(at), "must be a JSON object")
    check_document(text, document, at, depth_max)
    if len(text) * NUMBER_DIGITS_MAX > bytes_max:
        check_expansion(text, at=at, bytes_max=bytes_max)
    return document


def _invalid_number(text: bytes, error: msgspec.ValidationError, *, at: str, depth_max: int) -> NoReturn:
    """Raise Unreadable for text whose parsing stopped at a number, naming its field."""
    try:
        check_number_parts(text, at=at, depth_max=depth_max)
    except (ValueError, RecursionError) as worse:  # the text is invalid JSON after the number
        raise not_json(whole(at), _why_not_json(worse)) from None
    unreadable(error, at)


def check_document(text: bytes, document: dict[str, Any], at: str, depth_max: int) -> None:
    """Raise RepeatedKey if `text` repeats a key, Unreadable if a part cannot be stored.

    Every record passes this check, so the common case is cheap: it checks the parts one by one
    only for text with many brackets, or with an escaped U+0000.
    """
    brackets = text.count(b"{") + (text.count(b"[") if _BRACKET in text else 0)
    if brackets > depth_max and is_deeper(document, depth_max):
        check_parts(document, at=at, depth_max=depth_max)
    written = encode(document)
    if written != text and (repeated := repeated_key(text, written)) is not None:
        problem = f"repeats {key_text(repeated)} in one object"
        raise RepeatedKey(reason=Reason.INVALID, detail=f"{whole(at)}: {problem}")
    if _BACKSLASH in text and _NUL_ESCAPED in text:
        check_parts(document, at=at, depth_max=depth_max)


def not_json(field: str, problem: str) -> NotJson:
    """Return, for raising, the error for bytes that are not JSON."""
    return NotJson(reason=Reason.INVALID, detail=f"{field}: {problem}")


def _why_not_json(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"is nested deeper than {DEPTH_MAX} levels"
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is not valid JSON"


def decode_with(decoder: Callable[..., T], text: str | bytes | msgspec.Raw, at: str = "") -> T:
    """Decode JSON; raises Unreadable for any error.  `at` is the prefix of field names."""
    try:
        return decoder(text)
    except _broken as error:
        unreadable(error, at)


def unreadable(error: Exception, at: str = "") -> NoReturn:
    """Raise Unreadable with msgspec's message about the field, without text from the input."""
    if not isinstance(error, msgspec.ValidationError):
        raise invalid(whole(at), _why_not_json(error)) from None
    problem, _, path = str(error).partition(" - at `$")
    if problem.startswith("Invalid enum value"):
        problem = "is not one of the known values"
    field = (at + path.rstrip("`").lstrip(".")).rstrip(".") or "value"
    raise invalid(field, problem[:DETAIL_CHARACTERS_MAX]) from None
