"""readiness: the checks behind /health/ready of each kind of process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from ledger_streams.bootstrap.kafka_checks import TopicsCheck
from ledger_streams.bootstrap.web_services import ConnectionService
from ledger_streams.engine.app import EngineApp
from ledger_streams.engine.projection_committer import ProjectionCommitter
from ledger_streams.engine.state.takeover_progress import PublicText
from ledger_streams.errors import Unavailable
from web.services import Readiness


def gateway_readiness(app: EngineApp, check: TopicsCheck) -> Readiness:
    """Return the checks of a gateway: it reads its partitions, and its topics exist."""

    async def readiness() -> Mapping[str, str]:
        return {"requests": app.readiness, "kafka": await check.state()}

    return readiness


def projector_readiness(app: EngineApp, check: TopicsCheck) -> Readiness:
    """Return the checks of a projector: it reads its partitions, its topics exist, nothing is parked."""

    async def readiness() -> Mapping[str, str]:
        committer = app.committer
        parked = committer.parked if isinstance(committer, ProjectionCommitter) else 0
        text = PublicText(f"{parked} wait: ledger-streams projections parked list") if parked else "ok"
        return {"projections": app.readiness, "kafka": await check.state(), "parked_records": text}

    return readiness


def web_readiness(service: ConnectionService, check: TopicsCheck, *, worker: EngineApp | None) -> Readiness:
    """Return the checks of the web views: their dependencies, and a worker's tables."""

    async def readiness() -> Mapping[str, str]:
        tables = {} if worker is None else {"tables": worker.readiness}
        return tables | await _dependencies(service, check)

    return readiness


async def _dependencies(service: ConnectionService, check: TopicsCheck) -> dict[str, str]:
    """Return of each dependency `ok` or its problem."""
    probes: dict[str, Awaitable[object]] = {"kafka": check.state()}
    states: dict[str, str] = {}
    try:
        opened = service.opened()
    except Unavailable as error:
        states["connections"] = error.detail
    else:
        probes |= {"postgres": opened.read_model.answers(), "redis": opened.redis.ping()}
    answers = await asyncio.gather(*probes.values(), return_exceptions=True)
    for name, answer in zip(probes, answers, strict=True):
        states[name] = repr(answer) if isinstance(answer, BaseException) else "ok"
        if isinstance(answer, str):
            states[name] = answer
    return states
