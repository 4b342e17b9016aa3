"""Content codings: decompresses request bodies according to Content-Encoding.

aiohttp's own decoding is switched off (web/http/server.py): it passes a body with an unknown
coding on undecoded, and accepts a gzip stream that is truncated or has bytes after its end.
This module accepts at most one coding, requires a complete stream without extra bytes, and
bounds the size of the decompressed body.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from ledger_streams.errors import Rejected
from web.http.problems import UnknownCoding

HEADER: Final = "Content-Encoding"

WINDOW_BITS: Final[Mapping[str, int]] = {
    "gzip": 16 + zlib.MAX_WBITS,
    "x-gzip": 16 + zlib.MAX_WBITS,
    "deflate": zlib.MAX_WBITS,
}
"""zlib's window bits for each coding; both formats end with a checksum of the content."""

ACCEPTED: Final = "gzip, deflate"
"""Accept-Encoding of a 415 response: the codings that a body may have."""


def content_coding(request: web.Request) -> str | None:
    """Return the coding of the request's body, or None; raises Rejected 415 for an unknown one."""
    said = ",".join(request.headers.getall(HEADER, []))
    codings = [coding for part in said.split(",") if (coding := part.strip().lower()) not in {"", "identity"}]
    if len(codings) > 1:
        raise _unknown(f"{HEADER} lists {len(codings)} codings. Allowed: one of {ACCEPTED}, or none.")
    if codings and codings[0] not in WINDOW_BITS:
        raise _unknown(f"{HEADER} has an unknown coding. Allowed: one of {ACCEPTED}, or none.")
    return codings[0] if codings else None


def decode(body: bytes, coding: str, *, bytes_max: int) -> bytes | None:
    """Return the decompressed body, or None above `bytes_max`; raises Rejected 400."""
    stream = zlib.decompressobj(WINDOW_BITS[coding])
    try:
        content = stream.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise unreadable(f"The body is not valid {coding}, or is damaged.") from error
    if len(content) > bytes_max:
        return None
    if not stream.eof:
        raise unreadable(f"The body ends before the end of its {coding} stream.")
    if stream.unused_data:
        raise unreadable(f"The body has bytes after the end of its {coding} stream.")
    return content


def unreadable(detail: str) -> Rejected:
    """Return the 400 for a body that does not match its headers."""
    return Rejected(status=400, title="Unreadable body", detail=detail)


def _unknown(detail: str) -> Rejected:
    return UnknownCoding(detail=detail, accepted=ACCEPTED)
