"""The Idempotency-Key header: what makes a request safe to send again when it names no id itself.

The id of what is made is derived from the caller and the key, so that the same request
again is about the same payment or wallet, whichever worker it reaches.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from ledger_streams.domain.ids import derived_id
from ledger_streams.errors import Rejected
from web.http.problems import unprocessable
from web.services import Services

HEADER: Final = "Idempotency-Key"
ANONYMOUS: Final = "anonymous"
"""The caller, as long as nobody is authenticated."""

_key = re.compile(r"[\x20-\x7e]{1,255}").fullmatch


def id_seed_of(request: web.Request) -> str | None:
    """Return `caller:key`, or None without the header.

    Raises Rejected 400 where the header is there twice, 422 for a key out of bounds.
    """
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return None
    if len(keys) > 1:
        detail = f"{HEADER}: is there {len(keys)} times, one is allowed."
        raise Rejected(status=400, title="Bad request", detail=detail, field=HEADER)
    if not _key(keys[0]):
        raise unprocessable(HEADER, "must be 1 to 255 printable ASCII characters")
    return f"{ANONYMOUS}:{keys[0]}"


def make_id(services: Services, id_seed: str | None, *, prefix: str = "") -> str:
    """Return the id of what names none itself: that of `prefix` and the text, or a new one without a text."""
    return services.new_id() if id_seed is None else derived_id(prefix + id_seed)


def check_given_id(given: str, id_seed: str | None, *, field: str, prefix: str = "") -> str:
    """Return a canonical id that was given; raises Rejected 422 where the key is that of another id.

    A key stands for one id, whether that is named or not: else the key without the id, or
    with a second one, would be a second payment.
    """
    if id_seed is not None and given != (derived := derived_id(prefix + id_seed)):
        raise unprocessable(field, f"must be left out, or be {derived}, the id of this {HEADER}")
    return given
