"""Document parts: the rules for a single value of a JSON document, and its path.

A part is text that PostgreSQL can store and UTF-8 can encode, a number of bounded length with
its exponent written out, or an object or list at a bounded depth.  A path contains plain
field names only: paths go into errors and events, which repeat no other input text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any, Final

import msgspec

from ledger_streams.domain.money import invalid

DEPTH_MAX: Final = 32
"""Maximum nesting of `data`: real payloads have less than ten levels, and later readers recurse."""
NUMBER_DIGITS_MAX: Final = 1_000
"""Maximum digits of a number with its exponent written out, as jsonb stores it; a double has up to 325."""
PATH_CHARACTERS_MAX: Final = 100

_EXPONENT_CHARACTERS_MAX: Final = 5
"""Maximum length of an exponent, so that int() can parse it."""
_INTEGER_DIGITS_MAX: Final = 4_300
"""Maximum digits of an integer that Python parses."""
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}").fullmatch
OUT_OF_RANGE: Final = (
    f"contains a number out of range: not a double, or more than {NUMBER_DIGITS_MAX} digits when written out"
)


def number(text: str) -> float:
    """Parse a number with a fraction or exponent; raises msgspec's ValidationError for one out of range."""
    value, (mantissa, _, exponent) = float(text), text.lower().partition("e")
    if (
        len(exponent) > _EXPONENT_CHARACTERS_MAX
        or len(mantissa) + expansion(text) > NUMBER_DIGITS_MAX
        or not isfinite(value)
    ):
        raise msgspec.ValidationError(OUT_OF_RANGE)
    return value


def expansion(number: str) -> int:
    """Return the maximum number of digits that jsonb adds when it writes out the exponent."""
    _, _, exponent = number.lower().partition("e")
    return abs(int(exponent)) if exponent else 0


def check_parts(content: Mapping[str, object], *, at: str = "", depth_max: int = DEPTH_MAX) -> None:
    """Check each part of a decoded object, without recursion; raises Unreadable, naming the field."""
    beyond: list[tuple[str, object, int]] = [(at.rstrip("."), content, 1)]
    while beyond:
        path, value, depth = beyond.pop()
        if not isinstance(value, Mapping | list | tuple):
            _check_scalar(value, path or "value")
        elif depth > depth_max:
            raise invalid(path or "value", f"is nested deeper than {DEPTH_MAX} levels")
        elif isinstance(value, Mapping):
            beyond += [(within(path, _name(name, path)), part, depth + 1) for name, part in value.items()]
        else:
            beyond += [(path, part, depth + 1) for part in value]


def is_deeper(content: Mapping[str, Any], depth_max: int) -> bool:
    """Return whether objects and lists are nested deeper than `depth_max`."""
    level: list[Any] = [content]
    for _ in range(depth_max):
        level = [
            part
            for outer in level
            for part in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def check_number_parts(text: bytes, *, at: str, depth_max: int) -> None:
    """Raise Unreadable if JSON text has a number out of range, naming its field."""
    content = json.loads(text, parse_float=_number_or_nan, parse_int=_integer_or_nan)
    if isinstance(content, dict):
        check_parts(content, at=at, depth_max=depth_max)


def check_text(text: str, field: str) -> None:
    """Raise Unreadable when PostgreSQL cannot store the text, or UTF-8 cannot encode it."""
    if not text.isprintable() and _UNSTORABLE.search(text):
        what = "the character U+0000" if "\0" in text else "a lone surrogate"
        raise invalid(field, f"contains {what}, which cannot be stored")


def storable_text(text: str, *, characters_max: int) -> str:
    """Return input text for an event: unstorable characters as U+FFFD, cut to `characters_max`."""
    return _UNSTORABLE.sub("\ufffd", text[:characters_max])


def within(path: str, name: str) -> str:
    """Return the path of a field; the path of its object for a field without a plain name."""
    if not _PLAIN(name) or len(path) + len(name) > PATH_CHARACTERS_MAX:
        return path
    return f"{path}.{name}" if path else name


def whole(at: str) -> str:
    """Return the field name of an error about the whole value at `at`."""
    return at.rstrip(".") or "value"


def check_expansion(text: bytes, *, at: str, bytes_max: int) -> None:
    """Raise Unreadable when JSON text is too long with the exponents of its numbers written out."""
    if len(text) * NUMBER_DIGITS_MAX <= bytes_max:
        return
    if len(text) + (text.count(b"e") + text.count(b"E")) * NUMBER_DIGITS_MAX <= bytes_max:
        return
    numbers: list[str] = []
    json.loads(text, parse_float=numbers.append, parse_int=_nothing)
    written_out = len(text) + sum(map(expansion, numbers))
    if written_out > bytes_max:
        problem = f"has {written_out} bytes with its numbers written out, the maximum is {bytes_max}"
        raise invalid(whole(at), problem)


def _check_scalar(value: object, field: str) -> None:
    match value:
        case str():
            check_text(value, field)
        case float() if not isfinite(value):
            raise invalid(field, OUT_OF_RANGE)
        case None | int() | float():
            return
        case _:
            raise invalid(field, "contains a value that JSON does not have")


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise invalid(path or "value", "contains a field whose name is not text")
    if not name.isprintable() and _UNSTORABLE.search(name):
        raise invalid(path or "value", "contains a field name with a character that cannot be stored")
    return name


def _number_or_nan(text: str) -> float:
    try:
        return number(text)
    except msgspec.ValidationError:
        return nan


def _integer_or_nan(text: str) -> float:
    return nan if len(text) >= _INTEGER_DIGITS_MAX else 0.0


def _nothing(_digits: str) -> None:
    """Ignore an integer: it has no exponent to write out."""
