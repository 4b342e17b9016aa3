"""Documents: the one check of a JSON object, the same before it is sent and when it is read.

`check_sendable` says whether the workers can read an object and PostgreSQL can store it;
`read_document` reads text under the same rules.  Beyond being JSON in UTF-8, a document has no
key twice, no U+0000 and no lone surrogate, bounded nesting and numbers of bounded length with
their exponents written out, and it leaves room for the envelopes of the events that carry it.
A detail names a field by plain names only and never repeats other text from outside.
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
"""Of a record's value; with headers and batch it fits into the 1 MiB that a broker takes."""
ENVELOPE_BYTES_MAX: Final = 1_000
"""Around `data`: all fields at their longest are some 500 bytes, in a request or an event derived of it."""
DATA_BYTES_MAX: Final = RECORD_BYTES_MAX - ENVELOPE_BYTES_MAX
"""Of `data` as it is sent, and with the exponents of its numbers written out, as PostgreSQL stores them."""
DETAIL_CHARACTERS_MAX: Final = 300

_NUL_ESCAPED: Final = b"\\u0000"
_BACKSLASH, _BRACKET = b"\\["
"""As integers: these are found in bytes several times faster than by counting, or as a string of one."""
_broken: Final = (msgspec.MsgspecError, ValueError, RecursionError)
T = TypeVar("T")


class NotJson(Unreadable):
    """The bytes are not JSON in UTF-8."""


class RepeatedKey(NotJson):
    """A key stands twice in one object: readers would differ on what it says."""


encode: Final = msgspec.json.Encoder().encode
_any: Final = msgspec.json.Decoder(float_hook=number).decode


def check_sendable(data: Mapping[str, object], *, at: str = "") -> None:
    """Raise Unreadable, naming the field, unless `data` can be sent, read and stored.

    `at` goes before a field's name.  `data` is the content of an event or a command, decoded.
    """
    check_parts(data, at=at)
    try:
        text = encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise invalid(whole(at), "cannot be written as JSON") from None
    if len(text) > DATA_BYTES_MAX:  # the longest field is named
        field = max(data, key=lambda name: len(encode(data[name])))
        problem = (
            f"is too long: the content has {len(text)} bytes as JSON, at most {DATA_BYTES_MAX} can be sent"
        )
        raise invalid(within(at.rstrip("."), field) or whole(at), problem)
    read_document(text, at=at)


def read_document(text: bytes, *, at: str = "") -> dict[str, Any]:
    """Read JSON text from outside that is to be an object; raises Unreadable.

    `at` goes before a field's name.
    """
    return _read(text, at, DEPTH_MAX, DATA_BYTES_MAX)


def read_object(raw: msgspec.Raw, at: str = "data") -> dict[str, Any]:
    """Read the JSON that a record has in the field `at` as `read_document` does."""
    return read_document(bytes(raw), at=f"{at}.")


def read_record(value: bytes | None) -> dict[str, Any]:
    """Read the whole of a record's value, envelope and all; raises Unreadable."""
    return _read(bytes_of(value), "", DEPTH_MAX + 1, RECORD_BYTES_MAX)


def bytes_of(value: bytes | None) -> bytes:
    """Return a record's value if there is one, and not too long."""
    if value is None:
        raise invalid("value", "is empty; a record is a JSON object")
    if len(value) > RECORD_BYTES_MAX:
        raise invalid("value", f"is longer than {RECORD_BYTES_MAX} bytes")
    return value


def check_room(data: bytes, *, at: str) -> None:
    """Raise Unreadable when `data` as it came leaves too little room for the envelopes around it."""
    if len(data) > DATA_BYTES_MAX:
        raise invalid(whole(at), f"is longer than {DATA_BYTES_MAX} bytes")
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
    """Raise the error of text in which reading any value stopped at a number, naming its field."""
    try:
        check_number_parts(text, at=at, depth_max=depth_max)
    except (ValueError, RecursionError) as worse:  # reading stopped before the place that is no JSON at all
        raise not_json(whole(at), _why_not_json(worse)) from None
    unreadable(error, at)


def check_document(text: bytes, document: dict[str, Any], at: str, depth_max: int) -> None:
    """Raise RepeatedKey where a key stands twice in `text`, Unreadable where a part cannot be stored.

    Each record passes here, so it is cheap where nothing is suspicious: the parts are looked at
    one by one only when there are brackets too many, or an escaped U+0000 stands in the text.
    """
    brackets = text.count(b"{") + (text.count(b"[") if _BRACKET in text else 0)
    if brackets > depth_max and is_deeper(document, depth_max):
        check_parts(document, at=at, depth_max=depth_max)
    written = encode(document)
    if written != text and (repeated := repeated_key(text, written)) is not None:
        problem = f"{key_text(repeated)} stands twice in one object"
        raise RepeatedKey(reason=Reason.INVALID, detail=f"{whole(at)}: {problem}")
    if _BACKSLASH in text and _NUL_ESCAPED in text:
        check_parts(document, at=at, depth_max=depth_max)


def not_json(field: str, problem: str) -> NotJson:
    """Return the error that the bytes are not JSON as it is read here; to be raised."""
    return NotJson(reason=Reason.INVALID, detail=f"{field}: {problem}")


def _why_not_json(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"is nested deeper than {DEPTH_MAX} levels"
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else "is not valid JSON"


def decode_with(decoder: Callable[..., T], text: str | bytes | msgspec.Raw, at: str = "") -> T:
    """Decode JSON, turning every way of being broken into Unreadable; `at` goes before a field's name."""
    try:
        return decoder(text)
    except _broken as error:
        unreadable(error, at)


def unreadable(error: Exception, at: str = "") -> NoReturn:
    """Raise Unreadable with what msgspec says about the field, without what came from outside."""
    if not isinstance(error, msgspec.ValidationError):
        raise invalid(whole(at), _why_not_json(error)) from None
    problem, _, path = str(error).partition(" - at `$")
    if problem.startswith("Invalid enum value"):
        problem = "is none of the values known"
    field = (at + path.rstrip("`").lstrip(".")).rstrip(".") or "value"
    raise invalid(field, problem[:DETAIL_CHARACTERS_MAX]) from None
