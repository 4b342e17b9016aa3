"""Document parts: what a single value of a JSON document may be, and where it stands.

A part is text that PostgreSQL can store and UTF-8 can carry, a number of bounded length with
its exponent written out, or an object or list at a bounded depth.  A path names fields by
plain names only: it goes into errors and events, which repeat no other text from outside.
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
"""Levels of brackets in `data`: no honest payload has ten, and each reader after us recurses."""
NUMBER_DIGITS_MAX: Final = 1_000
"""Of one number with its exponent written out, as jsonb stores it; the longest of a double has 325."""
PATH_CHARACTERS_MAX: Final = 100

_EXPONENT_CHARACTERS_MAX: Final = 5
"""Keeps an exponent short enough to be read as an integer at all."""
_INTEGER_DIGITS_MAX: Final = 4_300
"""Of what Python reads as an integer."""
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}").fullmatch
OUT_OF_RANGE: Final = (
    f"holds a number out of range: no double, or more than {NUMBER_DIGITS_MAX} digits when written out"
)


def number(text: str) -> float:
    """Read a number with a fraction or exponent; raises msgspec's ValidationError when it is out of range."""
    value, (mantissa, _, exponent) = float(text), text.lower().partition("e")
    if (
        len(exponent) > _EXPONENT_CHARACTERS_MAX
        or len(mantissa) + expansion(text) > NUMBER_DIGITS_MAX
        or not isfinite(value)
    ):
        raise msgspec.ValidationError(OUT_OF_RANGE)
    return value


def expansion(number: str) -> int:
    """Return by how many digits a number grows at most when its exponent is written out, as jsonb does."""
    _, _, exponent = number.lower().partition("e")
    return abs(int(exponent)) if exponent else 0


def check_parts(content: Mapping[str, object], *, at: str = "", depth_max: int = DEPTH_MAX) -> None:
    """Look at each part of a decoded object, without recursion; raises Unreadable, naming the field."""
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
    """Say whether there are more than `depth_max` levels of brackets; looks at brackets alone."""
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
    """Raise Unreadable naming the field of a number in JSON text that is out of range, if there is one."""
    content = json.loads(text, parse_float=_number_or_nan, parse_int=_integer_or_nan)
    if isinstance(content, dict):
        check_parts(content, at=at, depth_max=depth_max)


def check_text(text: str, field: str) -> None:
    """Raise Unreadable when PostgreSQL cannot store the text, or UTF-8 cannot carry it."""
    if not text.isprintable() and _UNSTORABLE.search(text):
        what = "the character U+0000" if "\0" in text else "half a surrogate pair"
        raise invalid(field, f"holds {what}, which cannot be stored")


def storable_text(text: str, *, characters_max: int) -> str:
    """Return text from outside as an event can carry it: what cannot be stored is U+FFFD, the rest cut."""
    return _UNSTORABLE.sub("\ufffd", text[:characters_max])


def within(path: str, name: str) -> str:
    """Return the path of a field; one without a plain name goes by the path of its object."""
    if not _PLAIN(name) or len(path) + len(name) > PATH_CHARACTERS_MAX:
        return path
    return f"{path}.{name}" if path else name


def whole(at: str) -> str:
    """Return what an error names when it is about all of what stands `at`, without a field of its own."""
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
        problem = f"is too long: {written_out} bytes with its numbers written out, at most {bytes_max}"
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
            raise invalid(field, "holds a value that JSON does not have")


def _name(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise invalid(path or "value", "has a field whose name is no text")
    if not name.isprintable() and _UNSTORABLE.search(name):
        raise invalid(path or "value", "has a field with a character in its name that cannot be stored")
    return name


def _number_or_nan(text: str) -> float:
    try:
        return number(text)
    except msgspec.ValidationError:
        return nan


def _integer_or_nan(text: str) -> float:
    return nan if len(text) >= _INTEGER_DIGITS_MAX else 0.0


def _nothing(_digits: str) -> None:
    """Leave an integer unread: it is as long as it is written."""
