"""JSON that jsonb refuses although it is JSON, made storable.

jsonb holds no NUL, no lone surrogate and no number beyond numeric's range.  A
record from outside may carry any of them in a field that nobody reads, and one
such record must not stop the projections.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SUSPECT: Final = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|[eE][+-]?\d{3,}|\d{400,}")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def storable_json(text: str) -> str:
    """Return JSON text that jsonb takes; what it would take anyway comes back as it is.

    Characters it cannot hold become U+FFFD, numbers far out of range become strings.
    """
    if not _SUSPECT.search(text):
        return text
    loaded = json.loads(text, parse_float=_number, parse_int=_number)
    return json.dumps(_cleaned(loaded), ensure_ascii=False)


def _number(digits: str) -> Any:
    return digits if _SUSPECT.search(digits) else json.loads(digits)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    return value
