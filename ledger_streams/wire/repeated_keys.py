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
from typing import Any, Final, Never

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}").fullmatch


def repeated_key(text: bytes, written: bytes) -> str | None:
    """Return a key that stands twice in an object of `text`, or None; `written` is `text` encoded anew."""
    if written == text or b"".join(written.split()) == b"".join(text.split()):
        return None
    return find_repeated_key(text)


def find_repeated_key(text: bytes) -> str | None:
    """Return a key that stands twice in an object of JSON text, after escapes were resolved, or None.

    The text is read pair by pair, which takes longer.  Raises ValueError or RecursionError.
    """
    try:
        _pairs(text.decode())
    except _RepeatedError as found:
        return found.key
    return None


class PairsRead:
    """A JSON text as it reads pair by pair: `repeated` is what `find_repeated_key` says of it."""

    def __init__(self, text: bytes) -> None:
        self.repeated = find_repeated_key(text)


def key_text(key: str) -> str:
    """Return a key as an error may name it: text from outside goes into no message as it is."""
    return f"the key {key}" if _PLAIN(key) else "a key"


class _RepeatedError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _once(pairs: Sequence[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        _raise_repeated(pairs)


def _raise_repeated(pairs: Sequence[tuple[str, Any]]) -> Never:
    counted = Counter(key for key, _ in pairs)
    raise _RepeatedError(next(key for key, count in counted.items() if count > 1))


def _nothing(_digits: str) -> None:
    """Leave a number unread: Python reads no integer of more than 4,300 digits."""


_pairs: Final = json.JSONDecoder(object_pairs_hook=_once, parse_float=_nothing, parse_int=_nothing).decode
