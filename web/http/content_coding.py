"""Content codings: a body as it came, to the bytes that were meant; the inverse of Content-Encoding.

aiohttp's own decoding is switched off (web/http/server.py): it passes an unknown coding on as
if the body had none, and takes a gzip stream that is cut off, or has bytes after its end.
Here a body has one coding at most, ends where its coding ends, and is never longer than
the bound, however small it came.
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
"""What zlib is told of each coding; both formats end in a checksum of what was meant."""

ACCEPTED: Final = "gzip, deflate"
"""The Accept-Encoding of a 415: the codings that a body may have."""


def content_coding(request: web.Request) -> str | None:
    """Return the coding of the request's body, or None; raises Rejected 415 for one that is not taken."""
    said = ",".join(request.headers.getall(HEADER, []))
    codings = [coding for part in said.split(",") if (coding := part.strip().lower()) not in {"", "identity"}]
    if len(codings) > 1:
        raise _unknown(f"The body has {len(codings)} codings, one is allowed: {ACCEPTED}.")
    if codings and codings[0] not in WINDOW_BITS:
        raise _unknown(f"{HEADER}: the coding is not known. Allowed: {ACCEPTED}, or none.")
    return codings[0] if codings else None


def decode(body: bytes, coding: str, *, bytes_max: int) -> bytes | None:
    """Return the content, or None where it is longer than `bytes_max`; raises Rejected 400."""
    stream = zlib.decompressobj(WINDOW_BITS[coding])
    try:
        content = stream.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise unreadable(f"The body is not {coding}, or was damaged on its way.") from error
    if len(content) > bytes_max:
        return None
    if not stream.eof:
        raise unreadable(f"The body ends before its {coding} stream does.")
    if stream.unused_data:
        raise unreadable(f"The body goes on after the end of its {coding} stream.")
    return content


def unreadable(detail: str) -> Rejected:
    """Return the 400 for a body that does not follow its own headers."""
    return Rejected(status=400, title="Unreadable body", detail=detail)


def _unknown(detail: str) -> Rejected:
    return UnknownCoding(detail=detail, accepted=ACCEPTED)
