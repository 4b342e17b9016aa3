"""Repeated keys: finds a key that one object of a JSON text contains more than once.

msgspec and jsonb silently keep the last value, so the decoded document no longer shows the
repetition.  Encoding the document again yields a shorter text then.  A text that equals its
encoded document, apart from white space, therefore has no repeated key.  This fast check is
one encoding in C and covers the output of this system and of most clients; any other text
is parsed a second time, pair by pair.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Never

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}").fullmatch


def repeated_key(text: bytes, written: bytes) -> str | None:
    """Return a repeated key of `text`, or None; `written` is the document of `text`, encoded again."""
    if written == text or b"".join(written.split()) == b"".join(text.split()):
        return None
    return find_repeated_key(text)


def find_repeated_key(text: bytes) -> str | None:
    """Return a repeated key of JSON text, after resolving escapes, or None.

    It parses the text pair by pair, which is slower.  Raises ValueError or RecursionError.
    """
    try:
        _pairs(text.decode())
    except _RepeatedError as found:
        return found.key
    return None


class PairsRead:
    """A JSON text parsed pair by pair; `repeated` is the result of `find_repeated_key`."""

    def __init__(self, text: bytes) -> None:
        self.repeated = find_repeated_key(text)


def key_text(key: str) -> str:
    """Return the text of an error for a key; only a plain key is repeated, other input text is not."""
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
    """Ignore a number: Python parses no integer of more than 4,300 digits."""


_pairs: Final = json.JSONDecoder(object_pairs_hook=_once, parse_float=_nothing, parse_int=_nothing).decode
