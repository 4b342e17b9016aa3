"""Providers over HTTP: PUT {base_url}/payments/{key}, and its /cancellation.

Only a readable 200 is an outcome (answers.py).  Any other status, a timeout, a lost connection or an
unknown body leaves the outcome unknown and is `Unavailable`: the provider may have carried out the
call.  Each call is sent once, so breakers and metrics count every lost one.  The idempotency key makes
a repeat by the caller safe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec

from ledger_streams.adapters.providers.answers import Call, check_status, read_answer, unavailable
from ledger_streams.bounded_close import close_within
from ledger_streams.metrics import PROVIDER_CALL_SECONDS
from ledger_streams.ports import ProviderAnswer, ProviderOrder

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""Size limit of a response body; the rest of a longer one is not read."""


class HttpProviders:
    """`ports.Providers` over HTTP; `calls_max` calls of each provider at a time, others wait their turn."""

    def __init__(self, base_urls: Mapping[str, str], *, timeout_ms: float, calls_max: int) -> None:
        self._base_urls = {name: url.rstrip("/") for name, url in base_urls.items()}
        self._slots = {name: asyncio.Semaphore(calls_max) for name in base_urls}
        self._timeout_s = timeout_ms / 1000
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP session; call it before the first call, in the same event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the slots are the limit
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            middlewares=(_send_once,),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json"},
        )

    async def close(self) -> None:
        """Close the session and its connections; calls in flight end as Unavailable."""
        session, self._session = self._session, None
        if session is not None:
            await close_within("the providers' client", session.close())

    def knows(self, provider: str) -> bool:
        """Tell whether a provider of this name is configured."""
        return provider in self._base_urls

    async def carry_out(self, provider: str, order: ProviderOrder) -> ProviderAnswer:
        """Return approved or declined."""
        content = {
            "kind": order.kind,
            "amount": order.amount,
            "currency": order.currency,
            "payment_id": order.payment_id,
        }
        return await self._measured(provider, "carry_out", f"payments/{order.key}", content)

    async def cancel(self, provider: str, key: str) -> ProviderAnswer:
        """Return cancelled."""
        return await self._measured(provider, "cancel", f"payments/{key}/cancellation", {})

    async def _measured(
        self, provider: str, call: Call, path: str, content: Mapping[str, str]
    ) -> ProviderAnswer:
        if provider not in self._slots:
            raise unavailable(provider, "no provider of this name is configured: see LEDGER_PROVIDERS")
        async with self._slots[provider]:
            started_s, outcome = time.perf_counter(), "unknown"
            try:
                answer = await self._answer(provider, call, path, content)
                outcome = answer.status
                return answer
            except TimeoutError as error:
                raise unavailable(provider, f"no answer within {self._timeout_s:g} s") from error
            except (aiohttp.ClientError, OSError) as error:
                raise unavailable(provider, str(error) or type(error).__name__) from error
            finally:
                elapsed_s = time.perf_counter() - started_s
                PROVIDER_CALL_SECONDS.labels(provider, call, outcome).observe(elapsed_s)

    async def _answer(
        self, provider: str, call: Call, path: str, content: Mapping[str, str]
    ) -> ProviderAnswer:
        if self._session is None:
            raise unavailable(provider, "its client is not started or is closed")
        url, body = f"{self._base_urls[provider]}/{path}", msgspec.json.encode(content)
        async with self._session.put(url, data=body, allow_redirects=False) as response:
            check_status(provider, path, response.status)
            return read_answer(provider, call, await _read_bounded(provider, response))


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Prevent aiohttp from repeating a PUT by itself after a lost connection."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(f"{type(error).__name__}: {error}") from error


async def _read_bounded(provider: str, response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise unavailable(provider, f"answered more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
