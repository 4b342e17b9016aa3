"""Health: is the process alive, is it ready, and what does it measure.

Live means that the process answers; a supervisor that kills on anything more would
kill a worker for its database's fault.  Ready means that requests can be answered: the
cache, without which they can, is shown and does not count.
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
"""What the API answers without, and what is wrong with a few records alone."""


class Liveness(msgspec.Struct, frozen=True):
    """A process that answers."""

    status: Literal["live"] = "live"


class ReadyState(msgspec.Struct, frozen=True):
    """A process that takes requests; of each dependency `ok` or `away`, or what else may be told of it."""

    checks: dict[str, str]
    status: Literal["ready"] = "ready"


class Live(LedgerView):
    """Whether the process is alive."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("Alive", Liveness)}),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 as long as anything is answered at all."""
        return json_response(Liveness())


class Ready(LedgerView):
    """Whether the process can take requests."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("Ready", ReadyState)}, problems=(503,)),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the state of each dependency, or 503; what an error says is for the log."""
        states = await request.app[READINESS]()
        wrong = {name: state for name, state in sorted(states.items()) if state != OK}
        if wrong:
            log.warning("not all is well: %s", wrong)
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
    """What the process measures."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation(
            {200: Success("Metrics", Named("Metrics", {"type": "string"}), content_type="text/plain")}
        ),
    }

    async def get(self, request: web.Request) -> web.Response:
        """Answer with the process's metrics, in Prometheus' text format."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
