"""Documents: the one check of a JSON object, the same before it is sent and when it is read.

`check_sendable` says whether the workers can read an object and PostgreSQL can store it;
`read_document` reads text under the same rules.  Beyond being JSON in UTF-8, a document has no
key twice, no U+0000 and no lone surrogate, bounded nesting and numbers of bounded length with
their exponents written out, and it leaves room for the envelopes of the events that carry it.
A detail names a field by plain names only and never repeats other text from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from ledger_streams.domain.money import invalid
from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unreadable
from ledger_streams.wire.repeated_keys import PairsRead, expansion, named, repeated_key

RECORD_BYTES_MAX: Final = 1_000_000
"""Of a record's value; with headers and batch it fits into the 1 MiB that a broker takes."""
ENVELOPE_BYTES_MAX: Final = 1_000
"""Around `data`: all fields at their longest are some 500 bytes, in a request or an event derived of it."""
DATA_BYTES_MAX: Final = RECORD_BYTES_MAX - ENVELOPE_BYTES_MAX
"""Of `data` as it is sent, and with the exponents of its numbers written out, as PostgreSQL stores them."""
DEPTH_MAX: Final = 64
"""Levels of brackets in `data`; far below the recursion limits of Python and PostgreSQL."""
NUMBER_DIGITS_MAX: Final = 1_000
"""Of one number with its exponent written out; the longest of a double has 325."""
DETAIL_CHARACTERS_MAX: Final = 300
PATH_CHARACTERS_MAX: Final = 100

_EXPONENT_CHARACTERS_MAX: Final = 5
"""Keeps an exponent short enough to be read as an integer at all."""
_NUL_ESCAPED: Final = b"\\u0000"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}").fullmatch
_broken: Final = (msgspec.MsgspecError, ValueError, RecursionError)
T = TypeVar("T")


class NotJson(Unreadable):
    """The bytes are not JSON in UTF-8, or a key stands twice in one object."""


def _number(text: str) -> float:
    """Read a number with a fraction or exponent that is short enough when written out."""
    value, (mantissa, _, exponent) = float(text), text.lower().partition("e")
    if (
        len(exponent) > _EXPONENT_CHARACTERS_MAX
        or len(mantissa) + expansion(text) > NUMBER_DIGITS_MAX
        or not isfinite(value)
    ):
        raise msgspec.ValidationError("holds a number out of range")
    return value


encode: Final = msgspec.json.Encoder().encode
_any: Final = msgspec.json.Decoder(float_hook=_number).decode


def check_sendable(data: Mapping[str, object], *, at: str = "") -> None:
    """Raise Unreadable, naming the field, unless `data` can be sent, read and stored.

    `at` goes before a field's name.  `data` is the content of an event or a command, decoded.
    """
    check_parts(data, at=at)
    try:
        text = encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise invalid(_whole(at), "cannot be written as JSON") from None
    if len(text) > DATA_BYTES_MAX:  # the longest field is named
        field = max(data, key=lambda name: len(encode(data[name])))
        problem = (
            f"is too long: the content has {len(text)} bytes as JSON, at most {DATA_BYTES_MAX} can be sent"
        )
        raise invalid(_within(at.rstrip("."), field) or _whole(at), problem)
    read_document(text, at=at)


def read_document(text: bytes, *, at: str = "") -> dict[str, Any]:
    """Read JSON text from outside that is to be an object; raises NotJson or Unreadable.

    `at` goes before a field's name.
    """
    return _read(text, at, depth_max=DEPTH_MAX, bytes_max=DATA_BYTES_MAX)


def read_object(raw: msgspec.Raw, at: str = "data") -> dict[str, Any]:
    """Read the JSON that a record has in the field `at` as `read_document` does."""
    return read_document(bytes(raw), at=f"{at}.")


def read_record(value: bytes | None) -> dict[str, Any]:
    """Read the whole of a record's value, envelope and all; raises NotJson or Unreadable."""
    return _read(bytes_of(value), "", depth_max=DEPTH_MAX + 1, bytes_max=RECORD_BYTES_MAX)


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
        raise invalid(_whole(at), f"is longer than {DATA_BYTES_MAX} bytes")
    check_expansion(data, at=at, bytes_max=DATA_BYTES_MAX)


def _read(text: bytes, at: str, *, depth_max: int, bytes_max: int) -> dict[str, Any]:
    try:
        document = _any(text)
    except msgspec.ValidationError as error:
        unreadable(error, at)
    except _broken as error:
        raise not_json(_whole(at), _why_not_json(error)) from None
    if not isinstance(document, dict):
        raise invalid(_whole(at), "must be a JSON object")
    check_document(text, document, at=at, depth_max=depth_max)
    check_expansion(text, at=at, bytes_max=bytes_max)
    return document


def check_document(text: bytes, document: dict[str, Any], *, at: str, depth_max: int) -> None:
    """Raise NotJson where a key stands twice in `text`, Unreadable where a part cannot be stored.

    Cheap where nothing is suspicious: the parts are looked at one by one only when a bracket
    too many, or an escaped U+0000, stands somewhere in the text.
    """
    repeated = repeated_key(text, document)
    if repeated is not None:
        raise not_json(_whole(at), f"{named(repeated)} stands twice in one object")
    if text.count(b"{") + text.count(b"[") > depth_max or _NUL_ESCAPED in text:
        check_parts(document, at=at, depth_max=depth_max)


def check_expansion(text: bytes, *, at: str, bytes_max: int) -> None:
    """Raise Unreadable when `text` is too long with the exponents of its numbers written out."""
    if len(text) + (text.count(b"e") + text.count(b"E")) * NUMBER_DIGITS_MAX <= bytes_max:
        return
    written_out = len(text) + PairsRead(text).expansion
    if written_out > bytes_max:
        problem = f"is too long: {written_out} bytes with its numbers written out, at most {bytes_max}"
        raise invalid(_whole(at), problem)


def check_parts(content: Mapping[str, object], *, at: str = "", depth_max: int = DEPTH_MAX) -> None:
    """Look at each part of a decoded object, without recursion; raises Unreadable, naming the field."""
    beyond: list[tuple[str, object, int]] = [(at.rstrip("."), content, 1)]
    while beyond:
        path, value, depth = beyond.pop()
        if isinstance(value, Mapping | list | tuple):
            if depth > depth_max:
                raise invalid(path or "value", f"is nested deeper than {DEPTH_MAX} levels")
            if isinstance(value, Mapping):
                beyond.extend(
                    (_within(path, _name(name, path)), part, depth + 1) for name, part in value.items()
                )
            else:
                beyond.extend((path, part, depth + 1) for part in value)
        else:
            _check_scalar(value, path or "value")


def _check_scalar(value: object, field: str) -> None:
    match value:
        case str():
            check_text(value, field)
        case float() if not isfinite(value):
            raise invalid(field, "holds a number out of range")
        case None | int() | float():
            return
        case _:
            raise invalid(field, "holds a value that JSON does not have")


def check_text(text: str, field: str) -> None:
    """Raise Unreadable when PostgreSQL cannot store the text, or UTF-8 cannot carry it."""
    if not text.isprintable() and _UNSTORABLE.search(text):
        what = "the character U+0000" if "\0" in text else "half a surrogate pair"
        raise invalid(field, f"holds {what}, which cannot be stored")


def storable_text(text: str, *, characters_max: int) -> str:
    """Return text from outside as an event can carry it: what cannot be stored is U+FFFD, the rest cut."""
    return _UNSTORABLE.sub("\ufffd", text[:characters_max])


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise invalid(path or "value", "has a field whose name is no text")
    if not name.isprintable() and _UNSTORABLE.search(name):
        raise invalid(path or "value", "has a field with a character in its name that cannot be stored")
    return name


def _within(path: str, name: str) -> str:
    """Return the path of a field; one without a plain name goes by the path of its object."""
    if not _PLAIN(name) or len(path) + len(name) > PATH_CHARACTERS_MAX:
        return path
    return f"{path}.{name}" if path else name


def _whole(at: str) -> str:
    return at.rstrip(".") or "value"


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
        raise invalid(_whole(at), _why_not_json(error)) from None
    problem, _, path = str(error).partition(" - at `$")
    if problem.startswith("Invalid enum value"):
        problem = "is none of the values known"
    field = (at + path.rstrip("`").lstrip(".")).rstrip(".") or "value"
    raise invalid(field, problem[:DETAIL_CHARACTERS_MAX]) from None
