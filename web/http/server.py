"""Web server of the pages: aiohttp's, without automatic decompression, and with problems for its own errors.

A request that is not valid HTTP (two lengths, a control character in a header) reaches no
middleware and no view.  aiohttp would answer it in plain text; this server sends a problem.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ledger_streams.errors import Rejected
from web.http.problems import DETAIL_OF_STATUS, problem_response


class Connection(RequestHandler):
    """A connection of a client."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Log as aiohttp does, and return a problem that closes the connection."""
        super().handle_error(request, status, exc, message)
        error: Exception = RuntimeError("an error outside of all views")
        if status != web.HTTPInternalServerError.status_code:
            error = Rejected(status=status, title="Bad request", detail=DETAIL_OF_STATUS[400])
        response = problem_response(error)
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response


class PagesRunner(web.AppRunner):
    """Runs an application with `Connection` handlers."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            auto_decompress=False,
            **server._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)
