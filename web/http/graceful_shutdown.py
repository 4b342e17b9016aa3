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

UNDER_WAY_S_MAX: Final = 5.0
"""How long a stop waits for what is under way; a wait of `?wait=30` is cut short, with 202."""


class Drain:
    """The requests under way, and whether they are the last."""

    def __init__(self, runner: web.AppRunner, *, linger_s: float) -> None:
        self._runner = runner
        self._linger_s = linger_s
        self._under_way = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self.is_on = False

    async def run(self) -> None:
        """Let callers go elsewhere, then listen no more and wait for those who have called."""
        self.is_on = True
        await asyncio.sleep(self._linger_s)
        for site in list(self._runner.sites):
            await site.stop()
        try:
            async with asyncio.timeout(UNDER_WAY_S_MAX):
                await self._nobody.wait()
        except TimeoutError:
            log.warning("%d requests are under way at the stop", self._under_way)

    @property
    def middleware(self) -> Callable[[web.Request, Next], Awaitable[web.StreamResponse]]:
        """The outermost layer: it counts, and at the end has connections closed."""

        @web.middleware
        async def counted(request: web.Request, handler: Next) -> web.StreamResponse:
            self._under_way += 1
            self._nobody.clear()
            try:
                response = await handler(request)
                if self.is_on:
                    response.force_close()
                return response
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._nobody.set()

        return counted


def draining(app: faust.App, *, linger_s: float) -> Callable[[], Awaitable[None]]:
    """Have the app's pages count who is under way; return what is to be awaited before the app stops."""
    server = cast(Web, app.web)
    drain, ready = Drain(server._runner, linger_s=linger_s), server.web_app[READINESS]

    async def readiness() -> Mapping[str, str]:
        return {**await ready(), **({"worker": "it is stopping"} if drain.is_on else {})}

    server.web_app[READINESS] = readiness
    server.web_app.middlewares.insert(0, drain.middleware)
    return drain.run
