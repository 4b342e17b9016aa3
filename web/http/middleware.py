"""Middleware: the outermost layer of every request, also of those that reach no view.

Whatever goes wrong inside becomes a problem here, once; and every answer is timed and
marked as not to be cached, since a balance from somebody's proxy would be a lie.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ledger_streams.metrics import HTTP_REQUEST_SECONDS
from web.http.problems import problem_response, to_problem

log = logging.getLogger(__name__)

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer_in_problems(request: web.Request, handler: Next) -> web.StreamResponse:
    """Answer with the view's response, or with the problem it ended in."""
    started_s = time.perf_counter()
    try:
        response = await handler(request)
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the caller gets a problem
        response = _answer_to(request, error)
    response.headers.setdefault("Cache-Control", "no-store")
    elapsed_s = time.perf_counter() - started_s
    HTTP_REQUEST_SECONDS.labels(*_labels(request, response.status)).observe(elapsed_s)
    return response


def _answer_to(request: web.Request, error: Exception) -> web.StreamResponse:
    if to_problem(error).status == 500:
        log.exception("%s %s ended in an error nobody foresaw", request.method, request.path, exc_info=error)
    return problem_response(error)


def _labels(request: web.Request, status: int) -> tuple[str, str, str]:
    resource = request.match_info.route.resource
    route = UNMATCHED if resource is None else resource.canonical
    method = request.method if request.method in METHODS else "other"
    return route, method, str(status)
