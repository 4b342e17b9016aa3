"""Repeated keys: the keys that stand twice in one object of a JSON text.

msgspec and jsonb keep the last of them and say nothing, so a decoded document no longer shows
it.  Written again without them, however, the text is shorter: a text that is its document
written again, apart from white space, has no key twice.  That is one encoding in C, and true of
what this system and most clients write; any other text is read once more, pair by pair.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}").fullmatch
_encode: Final = msgspec.json.Encoder().encode


class PairsRead:
    """A JSON text read pair by pair, after msgspec has found it well-formed.

    `repeated` is the first key found twice in one object, after escapes were resolved.
    `expansion` is by how many digits its numbers grow when their exponents are written out.
    """

    def __init__(self, text: bytes) -> None:
        self.repeated: str | None = None
        self.expansion = 0
        json.loads(text, object_pairs_hook=self._pairs, parse_float=self._number, parse_int=_nothing)

    def _pairs(self, pairs: Sequence[tuple[str, Any]]) -> None:
        if self.repeated is None and len(dict(pairs)) < len(pairs):
            counted = Counter(key for key, _ in pairs)
            self.repeated = next(key for key, count in counted.items() if count > 1)

    def _number(self, digits: str) -> None:
        self.expansion += expansion(digits)


def repeated_key(text: bytes, document: object) -> str | None:
    """Return a key that stands twice in an object of `text`, or None; `document` is `text` decoded."""
    written = _encode(document)
    if written == text or b"".join(written.split()) == b"".join(text.split()):
        return None
    return PairsRead(text).repeated


def named(key: str) -> str:
    """Return a key as an error may name it: text from outside goes into no message as it is."""
    return f"the key {key}" if _PLAIN(key) else "a key"


def expansion(number: str) -> int:
    """Return by how many digits a number grows at most when its exponent is written out, as jsonb does."""
    _, _, exponent = number.lower().partition("e")
    return abs(int(exponent)) if exponent else 0


def _nothing(_digits: str) -> None:
    """Leave an integer unread: Python reads none of more than 4,300 digits."""
