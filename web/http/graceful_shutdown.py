"""Graceful shutdown: the web server answers every request that it has accepted before it stops.

    readiness fails; each response closes its connection    load balancers and clients go elsewhere
    the listener closes                                     no new requests
    requests in flight are answered                         the worker still works

Then the worker stops.  A request that still waits for its payment gets 202 and `pending`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

import faust
from aiohttp import web
from faust.web.drivers.aiohttp import Web

from web.http.middleware import Next
from web.services import READINESS

log = logging.getLogger(__name__)

IN_FLIGHT_WAIT_S_MAX: Final = 5.0
"""Maximum time that a stop waits for requests in flight; it cuts a `?wait=30` short, with 202."""


class GracefulShutdown:
    """Counts the requests in flight, and runs the shutdown."""

    def __init__(self, runner: web.AppRunner, *, linger_s: float) -> None:
        self._runner = runner
        self._linger_s = linger_s
        self._in_flight = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.is_on = False

    async def run(self) -> None:
        """Fail readiness for `linger_s`, close the listeners, then wait for the requests in flight."""
        self.is_on = True
        await asyncio.sleep(self._linger_s)
        for site in list(self._runner.sites):
            await site.stop()
        try:
            async with asyncio.timeout(IN_FLIGHT_WAIT_S_MAX):
                await self._is_idle.wait()
        except TimeoutError:
            log.warning(
                "%d requests still in flight after %.0f s, stopping anyway",
                self._in_flight,
                IN_FLIGHT_WAIT_S_MAX,
            )

    @property
    def middleware(self) -> Callable[[web.Request, Next], Awaitable[web.StreamResponse]]:
        """The outermost middleware: it counts requests, and closes connections during the shutdown."""

        @web.middleware
        async def counted(request: web.Request, handler: Next) -> web.StreamResponse:
            self._in_flight += 1
            self._is_idle.clear()
            try:
                response = await handler(request)
                if self.is_on:
                    response.force_close()
                return response
            finally:
                self._in_flight -= 1
                if not self._in_flight:
                    self._is_idle.set()

        return counted


def add_graceful_shutdown(app: faust.App, *, linger_s: float) -> Callable[[], Awaitable[None]]:
    """Add the shutdown to the app's pages; return the coroutine function to await before the app stops."""
    server = cast(Web, app.web)
    shutdown, ready = GracefulShutdown(server._runner, linger_s=linger_s), server.web_app[READINESS]

    async def readiness() -> Mapping[str, str]:
        return {**await ready(), **({"worker": "it is stopping"} if shutdown.is_on else {})}

    server.web_app[READINESS] = readiness
    server.web_app.middlewares.insert(0, shutdown.middleware)
    return shutdown.run
