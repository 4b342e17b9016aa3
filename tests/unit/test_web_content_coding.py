"""Bodies with an invalid Content-Encoding, Content-Type or length.

The API answers a problem for each of them and writes no record.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from typing import Any

import msgspec
import pytest

from ledger_streams.errors import Rejected
from tests.unit.web_stage import Stage, deposit, served
from web.http.content_coding import decode

BODY = msgspec.json.encode(deposit(metadata={"note": "a note"}))
GZIP, DEFLATE = gzip.compress(BODY, mtime=0), zlib.compress(BODY)
RAW_DEFLATE = zlib.compress(BODY, wbits=-zlib.MAX_WBITS)
BOMB = b'{"metadata": "' + b"x" * 50_000_000
PATHS = ("/v1/payments", "/v1/payments/batch", "/v1/wallets")
JSON = ("Content-Type", "application/json")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def sent(
    stage: Stage, body: bytes, *headers: tuple[str, str], path: str = "/v1/payments"
) -> tuple[int, dict[str, Any], str | None]:
    """Send a body as it is; return status, body and Accept-Encoding of the answer."""
    response = await stage.client.post(path, data=BytesIO(body), headers=[*headers])
    if response.status >= 400:
        assert response.content_type == "application/problem+json"
    return response.status, await response.json(content_type=None), response.headers.get("Accept-Encoding")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", GZIP),
        ("GZip", GZIP),
        ("x-gzip", GZIP),
        ("deflate", DEFLATE),
        ("identity", BODY),
        ("identity, gzip", GZIP),
        ("", BODY),
    ],
)
async def test_a_body_in_a_known_coding_is_decoded(coding: str, body: bytes, stage: Stage) -> None:
    status, _, _ = await sent(stage, body, JSON, ("Content-Encoding", coding))
    assert (status, stage.published[0]["data"]) == (202, msgspec.json.decode(BODY))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "codings",
    [
        ["br"],
        ["zstd"],
        ["compress"],
        ["utf-8"],
        ["gzip;q=1"],
        ["*"],
        ["gzip, gzip"],
        ["gzip", "gzip"],
        ["gzip", "deflate"],
        ["deflate, br"],
        ["g\xfczip"],
    ],
)
async def test_a_content_encoding_that_is_not_known_is_415(
    codings: list[str], path: str, stage: Stage
) -> None:
    """Also where the body, taken as it came, would be JSON."""
    for body in (BODY, GZIP):
        headers = [("Content-Encoding", coding) for coding in codings]
        status, problem, accepted = await sent(stage, body, JSON, *headers, path=path)
        assert (status, problem["status"], accepted) == (415, 415, "gzip, deflate")
    assert stage.published == []


def flipped(body: bytes, place: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


def broken() -> Iterable[Any]:
    for coding, body in (("gzip", GZIP), ("deflate", DEFLATE)):
        yield pytest.param(coding, BODY, id=f"{coding}: plain JSON")
        yield pytest.param(coding, body[:1], id=f"{coding}: one byte")
        yield pytest.param(coding, body[: len(body) // 2], id=f"{coding}: half of it")
        yield pytest.param(coding, body[:-1], id=f"{coding}: without the last byte of its checksum")
        yield pytest.param(coding, flipped(body, len(body) // 2), id=f"{coding}: a bit turned in the middle")
        yield pytest.param(coding, flipped(body, len(body) - 5), id=f"{coding}: a bit turned at the end")
        yield pytest.param(coding, body + b" ", id=f"{coding}: a blank after it")
        yield pytest.param(coding, body + body, id=f"{coding}: two of them")
        yield pytest.param(coding, gzip.compress(body), id=f"{coding}: coded twice")
    yield pytest.param("gzip", DEFLATE, id="gzip: deflate")
    yield pytest.param("deflate", GZIP, id="deflate: gzip")
    yield pytest.param("deflate", RAW_DEFLATE, id="deflate: without the checksum of RFC 1950")


@pytest.mark.parametrize(("coding", "body"), [*broken()])
async def test_a_body_that_is_broken_in_its_coding_is_400(coding: str, body: bytes, stage: Stage) -> None:
    for path in PATHS:
        status, problem, _ = await sent(stage, body, JSON, ("Content-Encoding", coding), path=path)
        assert (status, problem["status"]) == (400, 400)
    assert stage.published == []


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", gzip.compress(BOMB, mtime=0)), ("deflate", zlib.compress(BOMB))]
)
async def test_a_body_that_grows_beyond_the_bound_when_it_is_decoded_is_413(
    coding: str, body: bytes, stage: Stage
) -> None:
    assert len(body) < 100_000
    for path in PATHS:
        status, _, _ = await sent(stage, body, JSON, ("Content-Encoding", coding), path=path)
        assert status == 413


@pytest.mark.parametrize("length", [99, 100, 101])
def test_decoding_stops_at_the_bound_and_takes_what_just_fits(length: int) -> None:
    content = decode(gzip.compress(b"x" * length), "gzip", bytes_max=100)
    assert content == (None if length > 100 else b"x" * length)


def test_an_empty_body_is_no_gzip_stream() -> None:
    with pytest.raises(Rejected, match="ends before"):
        decode(b"", "gzip", bytes_max=100)


@pytest.mark.parametrize(
    "kinds",
    [
        ["application/json; charset=utf-16"],
        ["application/json; charset=iso-8859-1"],
        ["application/json;charset=latin1"],
        ["application/json; CHARSET=windows-1252"],
        ['application/json; charset="utf-16le"'],
        ["application/json; charset="],
        ["application/json; charset=utf-8; charset=latin-1"],
        ["application/json; charset=utf-8", "text/plain"],
        ["application/json", "application/json"],
        ["application/json, text/plain"],
        ["text/json"],
        ["json"],
        [],
    ],
)
async def test_a_content_type_other_than_json_in_utf_8_is_415(kinds: list[str], stage: Stage) -> None:
    headers = [("Content-Type", kind) for kind in kinds]
    response = await stage.client.post(
        "/v1/payments", data=BytesIO(BODY), headers=headers, skip_auto_headers=["Content-Type"]
    )
    assert response.status == 415 if len(kinds) < 2 else response.status in {400, 415}
    assert response.content_type == "application/problem+json"
    assert stage.published == []


async def spoken(stage: Stage, *lines: str, body: bytes = BODY, ends: bool = False) -> bytes:
    """Send a request of these header lines; return the answer, as far as it comes."""
    server = stage.client.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = ["POST /v1/payments HTTP/1.1", "Host: test", "Content-Type: application/json", *lines, "", ""]
    writer.write("\r\n".join(head).encode("latin-1") + body)
    if ends:
        writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.readuntil(b"}")
    except asyncio.IncompleteReadError as error:
        return error.partial
    finally:
        writer.close()


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: ten"],
        ["Content-Length: -5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Connection: close"],
        ["Transfer-Encoding: gzip, chunked", "Connection: close"],
        ["Content-Length: 5", "Idempotency-Key: a\x00b"],
        ["Content-Length: 5", "Idempotency-Key: a\x01b"],
        ["Content-Length: 5", "Idempotency-Key: a\x7fb"],
        ["Content-Length: 5", "Idempotency Key: a"],
    ],
)
async def test_headers_that_contradict_each_other_or_http_are_400_as_a_problem(
    lines: list[str], stage: Stage
) -> None:
    answer = await spoken(stage, *lines)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert msgspec.json.decode(body)["status"] == 400
    assert stage.published == []


@pytest.mark.parametrize("length", [1, len(BODY) - 1])
async def test_a_content_length_that_is_too_short_writes_no_payment(length: int, stage: Stage) -> None:
    answer = await spoken(stage, f"Content-Length: {length}")
    assert b" 400 " in answer.splitlines()[0]
    assert stage.published == []


async def test_a_content_length_that_is_too_long_writes_no_payment(stage: Stage) -> None:
    answer = await spoken(stage, f"Content-Length: {len(BODY) + 1}", ends=True)
    assert b" 202 " not in answer
    assert stage.published == []


async def test_a_body_that_never_ends_is_408_in_time(stage: Stage) -> None:
    stage.body_wait_s = 0.05
    answer = await spoken(stage, f"Content-Length: {len(BODY) + 1}", "Connection: close")
    assert answer.startswith(b"HTTP/1.1 408")
    assert stage.published == []
