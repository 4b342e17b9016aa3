"""Idempotency-Key: makes a request without an id safe to send again.

The id of the new payment, wallet or hold is derived from the caller and the key.  A
repeated request gets the same id, on every worker.
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
"""The caller of every request: the API has no authentication yet."""

_key = re.compile(r"[\x20-\x7e]{1,255}").fullmatch


def id_seed_of(request: web.Request) -> str | None:
    """Return `caller:key`, or None without the header.

    Raises Rejected 400 for a repeated header, 422 for a key that is too long or not printable.
    """
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return None
    if len(keys) > 1:
        detail = f"{HEADER} is given {len(keys)} times; allowed: once."
        raise Rejected(status=400, title="Bad request", detail=detail, field=HEADER)
    if not _key(keys[0]):
        raise unprocessable(HEADER, "must be 1 to 255 printable ASCII characters")
    return f"{ANONYMOUS}:{keys[0]}"


def make_id(services: Services, id_seed: str | None, *, prefix: str = "") -> str:
    """Return the id derived from `prefix` and `id_seed`, or a new id without a seed."""
    return services.new_id() if id_seed is None else derived_id(prefix + id_seed)


def check_given_id(given: str, id_seed: str | None, *, field: str, prefix: str = "") -> str:
    """Return the client's canonical id; raises Rejected 422 if the Idempotency-Key belongs to another id.

    A key stands for exactly one id.  Otherwise the same key without the id, or with another
    one, would make a second payment.
    """
    if id_seed is not None and given != (derived := derived_id(prefix + id_seed)):
        raise unprocessable(field, f"must be omitted, or be {derived}, the id that this {HEADER} stands for")
    return given
