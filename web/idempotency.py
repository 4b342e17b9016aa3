"""The Idempotency-Key header: what makes a request safe to send again when it names no id itself.

The id of what is made is derived from the caller and the key, so that the same request
again is about the same payment or wallet, whichever worker it reaches.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from ledger_streams.domain.ids import derived_id
from web.problems import unprocessable
from web.services import Services

HEADER: Final = "Idempotency-Key"
ANONYMOUS: Final = "anonymous"
"""The caller, as long as nobody is authenticated."""

_key = re.compile(r"[\x20-\x7e]{1,255}").fullmatch


def text_to_derive_from(request: web.Request) -> str | None:
    """Return `caller:key`, or None without the header; raises Rejected 422 for a key out of bounds."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _key(key):
        raise unprocessable(HEADER, "must be 1 to 255 printable ASCII characters")
    return f"{ANONYMOUS}:{key}"


def made_id(services: Services, derived_from: str | None, *, prefix: str = "") -> str:
    """Return the id of what names none itself: that of `prefix` and the text, or a new one without a text."""
    return services.new_id() if derived_from is None else derived_id(prefix + derived_from)
