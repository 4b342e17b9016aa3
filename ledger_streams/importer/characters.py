"""Characters: storable text, and characters that a person cannot see.

Two ids that differ in an invisible character look like one account.  So ids and column
names consist of visible characters and plain spaces.
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
"""Joiners, fillers and variation selectors: invisible, although Unicode calls them letters or marks."""


def is_text(value: str) -> bool:
    """Return whether the text is storable: no NUL, no surrogate (bytes that the encoding cannot decode)."""
    return value.isprintable() or _UNSTORABLE(value) is None


def invisible(value: str) -> str | None:
    """Return the first invisible character as U+nnnn, or None.  A plain space counts as visible."""
    if value.isascii() and value.isprintable():
        return None
    for character in value:
        if character != " " and (
            unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _UNSEEN
        ):
            return f"U+{ord(character):04X}"
    return None
