"""Draining: how the web views stop, so that nobody who has called is left without an answer.

    not ready any more; each answer closes its connection    a balancer, and a caller, goes elsewhere
    the listener closes                                      nobody new
    what is under way is answered                            all of the worker still works

Only then does the worker begin to stop.  Whoever still waits for a payment is told that it
is pending.
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
"""How long a stop waits for what is under way; a wait of `?wait=30` is cut short, with 202."""


class GracefulShutdown:
    """The requests under way, and whether they are the last."""

    def __init__(self, runner: web.AppRunner, *, linger_s: float) -> None:
        self._runner = runner
        self._linger_s = linger_s
        self._in_flight = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.is_on = False

    async def run(self) -> None:
        """Let callers go elsewhere, then listen no more and wait for those who have called."""
        self.is_on = True
        await asyncio.sleep(self._linger_s)
        for site in list(self._runner.sites):
            await site.stop()
        try:
            async with asyncio.timeout(IN_FLIGHT_WAIT_S_MAX):
                await self._is_idle.wait()
        except TimeoutError:
            log.warning("%d requests are under way at the stop", self._in_flight)

    @property
    def middleware(self) -> Callable[[web.Request, Next], Awaitable[web.StreamResponse]]:
        """The outermost layer: it counts, and at the end has connections closed."""

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
    """Have the app's pages count who is under way; return what is to be awaited before the app stops."""
    server = cast(Web, app.web)
    shutdown, ready = GracefulShutdown(server._runner, linger_s=linger_s), server.web_app[READINESS]

    async def readiness() -> Mapping[str, str]:
        return {**await ready(), **({"worker": "it is stopping"} if shutdown.is_on else {})}

    server.web_app[READINESS] = readiness
    server.web_app.middlewares.insert(0, shutdown.middleware)
    return shutdown.run
