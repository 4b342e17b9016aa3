"""The base of all views, and how requests are read and answers written.

Bodies are read here with a bound, since Faust's own reading has none and aiohttp's
covers only some ways of reading.  A query parameter that a view does not know is an
error: a misspelt `at` would otherwise answer for now.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from faust.web import Request, View
from faust.web.exceptions import WebError

from ledger_streams.errors import Rejected
from web.http.content_coding import content_coding, decode, unreadable
from web.http.operations import Operation
from web.http.payloads import parse_json
from web.http.problems import problem_response, unprocessable
from web.services import SERVICES, Services

BODY_BYTES_MAX: Final = 1024 * 1024
"""No request needs more: a batch of 1,000 payments is a third of it."""

INTEGER_MAX: Final = 2**63 - 1
"""What the read model's BIGINT holds."""

_digits = re.compile(r"[0-9]{1,19}").fullmatch


class LedgerView(View):
    """A Faust view that gets `Services` and leaves its errors to the middleware."""

    body_bytes_max: ClassVar[int] = BODY_BYTES_MAX
    operations: ClassVar[Mapping[str, Operation]] = {}
    """What each method takes and answers, for the OpenAPI document."""

    def get_methods(self) -> set[str]:
        """Return the methods this view has; HEAD comes with GET alone, so that others get their 405."""
        methods: set[str] = super().get_methods()
        return methods if "GET" in methods else methods - {"HEAD"}

    async def on_request_error(self, request: Request, exc: WebError) -> web.Response:
        """Turn an error of Faust's own into a problem, where Faust would answer `{"error": ...}`."""
        detail = str(exc.detail)
        return problem_response(Rejected(status=int(exc.code), title=type(exc).__name__, detail=detail))

    def services(self, request: web.Request) -> Services:
        """Return the services; raises Unavailable while the worker starts or stops."""
        return request.app[SERVICES]()

    async def body(self, request: web.Request) -> dict[str, Any]:
        """Return the body, a JSON object; raises Rejected 400, 413, 415 or 422."""
        return parse_json(await self.body_bytes(request))

    async def optional_body(self, request: web.Request) -> dict[str, Any]:
        """Return the body as `body` does, or an empty object where none was sent."""
        body = await self.body_bytes(request)
        return parse_json(body) if body else {}

    async def body_bytes(self, request: web.Request) -> bytes:
        """Return the body, decoded and said to be JSON; raises Rejected 400, 408, 413 or 415."""
        coding = content_coding(request)
        body = await _read(request, self.body_bytes_max, self.services(request).body_wait_s)
        if coding is not None:
            content = decode(body, coding, bytes_max=self.body_bytes_max)
            if content is None:
                raise too_large(self.body_bytes_max)
            body = content
        if body and not _is_json(request):
            detail = "The body has to be sent as application/json, in UTF-8."
            raise Rejected(status=415, title="Unsupported media type", detail=detail)
        return body


def json_response(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return `value` as a JSON response."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json"
    )


def query(request: web.Request, *names: str) -> dict[str, str]:
    """Return the query parameters; raises Rejected 422 for one that is unknown or there twice."""
    parameters: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in names:
            known = ", ".join(names) or "none"
            raise unprocessable(name, f"is not a parameter of this path, which has: {known}")
        if name in parameters:
            raise unprocessable(name, "is there twice")
        parameters[name] = value
    return parameters


def integer(
    parameters: Mapping[str, str], name: str, *, default: int, smallest: int = 0, largest: int = INTEGER_MAX
) -> int:
    """Return the parameter as an integer of `smallest` to `largest`; raises Rejected 422."""
    text = parameters.get(name)
    if text is None:
        return default
    if not _digits(text) or not smallest <= int(text) <= largest:
        raise unprocessable(name, f"must be an integer of {smallest} to {largest}")
    return int(text)


def too_large(bytes_max: int) -> Rejected:
    """Return the 413 for a body, or a part of it, beyond its bound."""
    return Rejected(status=413, title="Too large", detail=f"The body is longer than {bytes_max} bytes.")


async def _read(request: web.Request, bytes_max: int, wait_s: float) -> bytes:
    if (request.content_length or 0) > bytes_max:
        raise too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(wait_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > bytes_max:
                    raise too_large(bytes_max)
    except TimeoutError as error:
        detail = f"The body did not come within {wait_s:g} s, {len(body)} bytes of it did."
        raise Rejected(status=408, title="Request timeout", detail=detail) from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise unreadable("The body does not follow its own Transfer-Encoding.") from error
    return bytes(body)


def _is_json(request: web.Request) -> bool:
    """Say whether the one Content-Type is JSON in UTF-8, and does not say so twice in two ways."""
    said = request.headers.getall("Content-Type", [])
    if len(said) != 1:
        return False
    kind, *parameters = (part.strip().lower() for part in said[0].split(";"))
    charsets = {value.strip('"') for part in parameters if (value := _charset(part)) is not None}
    is_json = kind == "application/json" or kind.endswith("+json")
    return is_json and charsets <= {"utf-8", "utf8", "us-ascii"}


def _charset(parameter: str) -> str | None:
    name, _, value = parameter.partition("=")
    return value.strip() if name.strip() == "charset" else None
