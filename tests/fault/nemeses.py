"""Nemeses: what goes wrong with a running system, one function a fault, its name the fault's.

Each does its harm while the workload goes on, waits until the workload has got further in
spite of it, and undoes it: when it returns the fault is over, and the recovery begins.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from tests.fault.stage import EVERYTHING, STRETCH, WORKERS, Stage
from tests.fault.surroundings import (
    changelogs_compacted,
    clock_set_back,
    disk_full,
    letters_redriven_while_workers_are_killed,
    provider_slow,
)

Nemesis = Callable[[Stage], Awaitable[None]]

WITHOUT_END: Final = 1_000
"""More connections than the server gives."""


async def worker_killed(stage: Stage) -> None:
    stage.kill("worker-1")
    stage.start("worker-1")


async def worker_killed_and_away(stage: Stage) -> None:
    stage.kill("worker-2")
    await stage.out_of_the_group("worker-2")
    stage.start("worker-2")


async def projector_killed(stage: Stage) -> None:
    stage.kill("projector-1")
    await stage.further(STRETCH)
    stage.start("projector-1")


async def gateway_killed(stage: Stage) -> None:
    stage.kill("gateway-1")
    await stage.further(STRETCH)
    stage.start("gateway-1")


async def provider_killed(stage: Stage) -> None:
    stage.kill("provider-1")
    await stage.further(STRETCH)
    stage.start("provider-1")


async def postgres_stopped_at_once(stage: Stage) -> None:
    await stage.kill_server("postgres", signal.SIGQUIT)  # what pg_ctl stop -m immediate sends
    await stage.further(STRETCH)
    await stage.servers_up()


async def redis_killed(stage: Stage) -> None:
    await stage.kill_server("redis")
    await stage.further(STRETCH)
    await stage.servers_up()


async def broker_killed(stage: Stage) -> None:
    await stage.kill_server("kafka-1")
    await stage.further(STRETCH)
    await stage.servers_up()


async def worker_paused_beyond_the_session(stage: Stage) -> None:
    stage.live.processes["worker-1"].signal(signal.SIGSTOP)
    await stage.out_of_the_group("worker-1")
    await stage.further(STRETCH)
    stage.live.processes["worker-1"].signal(signal.SIGCONT)


async def worker_added_and_removed(stage: Stage) -> None:
    stage.start("worker-3")
    await stage.live.ready("3")
    await stage.further(STRETCH)
    await stage.stop("worker-3")


async def everything_stopped(stage: Stage) -> None:
    await stage.stop(*EVERYTHING)
    await stage.servers_down()
    await stage.servers_up()
    stage.start(*EVERYTHING)


async def tables_deleted(stage: Stage) -> None:
    stage.kill("worker-1")
    shutil.rmtree(stage.tables("worker-1"))
    stage.start("worker-1")
    await stage.live.ready("1")


async def tables_of_earlier_put_back(stage: Stage) -> None:
    await stage.stop("worker-2")
    tables = stage.tables("worker-2")
    earlier = tables.with_name("earlier")
    await asyncio.to_thread(shutil.copytree, tables, earlier)
    stage.start("worker-2")
    await stage.live.ready("2")
    await stage.further(STRETCH)
    stage.kill("worker-2")
    shutil.rmtree(tables)
    earlier.rename(tables)
    stage.start("worker-2")
    await stage.live.ready("2")


async def postgres_out_of_connections(stage: Stage) -> None:
    """Take every connection that there is, those of the system too, which lose theirs."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        await _take_what_is_left(stage, taken)
        await taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name <> 'greedy' AND backend_type = 'client backend'"
        )
        await _take_what_is_left(stage, taken)
        await stage.further(STRETCH)
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))


async def _take_what_is_left(stage: Stage, taken: list[asyncpg.Connection[asyncpg.Record]]) -> None:
    settings = {"application_name": "greedy"}
    for _ in range(WITHOUT_END):
        try:
            taken.append(await asyncpg.connect(stage.servers.postgres, server_settings=settings))
        except asyncpg.TooManyConnectionsError:
            return


async def workers_killed_together(stage: Stage) -> None:
    stage.kill(*WORKERS)
    stage.start(*WORKERS)


NEMESES: Final[tuple[Nemesis, ...]] = (
    worker_killed,
    worker_killed_and_away,
    workers_killed_together,
    projector_killed,
    gateway_killed,
    provider_killed,
    postgres_stopped_at_once,
    postgres_out_of_connections,
    redis_killed,
    broker_killed,
    worker_paused_beyond_the_session,
    worker_added_and_removed,
    everything_stopped,
    tables_deleted,
    tables_of_earlier_put_back,
    provider_slow,
    clock_set_back,
    disk_full,
    changelogs_compacted,
    letters_redriven_while_workers_are_killed,
)


def name_of(nemesis: Nemesis) -> str:
    """Return the fault as people say it."""
    return getattr(nemesis, "__name__", "").replace("_", " ")
