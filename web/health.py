"""Health pages: liveness, readiness and metrics of the process.

Liveness checks only that the process answers.  A supervisor that restarts on more would
restart a worker because its database is down.  Readiness checks the dependencies that
requests need; an unavailable cache is reported and does not make the process unready.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ledger_streams.engine.state.takeover_progress import PublicText
from ledger_streams.errors import Unavailable
from web.http.operations import Named, Operation, Success
from web.services import READINESS
from web.views import LedgerView, json_response

log = logging.getLogger(__name__)

OK: Final = "ok"
OPTIONAL_CHECKS: Final = frozenset({"redis", "parked_records"})
"""Failures of these checks are reported and do not make the process unready."""


class Liveness(msgspec.Struct, frozen=True):
    """Response body of a live process."""

    status: Literal["live"] = "live"


class ReadyState(msgspec.Struct, frozen=True):
    """Response body of a ready process.

    `checks` has `ok`, `away` or a public text for each dependency.
    """

    checks: dict[str, str]
    status: Literal["ready"] = "ready"


class Live(LedgerView):
    """Liveness of the process."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("Alive", Liveness)}),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200; a process that cannot do this is not alive."""
        return json_response(Liveness())


class Ready(LedgerView):
    """Readiness of the process for requests."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("Ready", ReadyState)}, problems=(503,)),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the state of each dependency, else 503; the log has the errors."""
        states = await request.app[READINESS]()
        wrong = {name: state for name, state in sorted(states.items()) if state != OK}
        if wrong:
            log.warning("Readiness check found failing dependencies: %s", wrong)
        missing = sorted(wrong.keys() - OPTIONAL_CHECKS)
        if missing:
            raise Unavailable(
                dependency=", ".join(_named_check(name, wrong[name]) for name in missing), detail="not ready"
            )
        return json_response(ReadyState({name: _public_state(states[name]) for name in sorted(states)}))


def _named_check(name: str, state: str) -> str:
    return f"{name} ({state})" if isinstance(state, PublicText) else name


def _public_state(state: str) -> str:
    return str(state) if state == OK or isinstance(state, PublicText) else "away"


class Metrics(LedgerView):
    """Metrics of the process."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("Metrics", Named("Metrics", {"type": "string"}), content_type="text/plain")}
        ),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the metrics of the process in Prometheus' text format."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
