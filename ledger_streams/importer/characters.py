"""Characters: which text of a file can be stored, and which of it a person cannot see.

Two ids that look the same and differ in an invisible character are two accounts, so an
id and a column's name consist of visible characters, with plain spaces inside at most.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]").search
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_UNSEEN: Final = frozenset(
    [
        *map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)),
        *map(chr, range(0x180B, 0x1810)),
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xE0100, 0xE01F0)),
    ]
)
"""Joiners, fillers and variation selectors: letters, marks and symbols by category, and drawn as nothing."""


def is_text(value: str) -> bool:
    """Say whether bytes were text of the file's encoding and can be stored: no surrogate, no NUL."""
    return value.isprintable() or _UNSTORABLE(value) is None


def invisible(value: str) -> str | None:
    """Return the first invisible character as U+nnnn, or None; of all blanks a plain space is seen."""
    if value.isascii() and value.isprintable():
        return None
    for character in value:
        if character != " " and (
            unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _UNSEEN
        ):
            return f"U+{ord(character):04X}"
    return None
