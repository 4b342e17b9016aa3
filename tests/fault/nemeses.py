"""Nemeses: faults of a running system, one function a fault, named like the fault.

Each injects its fault under the workload, waits until further steps were sent, and removes the fault.
When it returns, the recovery begins.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from tests.fault.host_faults import (
    changelogs_compacted,
    clock_set_back,
    disk_full,
    letters_redriven_while_workers_are_killed,
    provider_slow,
)
from tests.fault.testbed import CONNECTED, EVERYTHING, STRETCH, WORKERS, Testbed
from tests.live import eventually

Nemesis = Callable[[Testbed], Awaitable[None]]

WITHIN_THE_SESSION: Final = 100
"""Steps that take 2.5 s; the session's time-out is 6 s."""
BEYOND_THE_TRANSACTION_S: Final = 12.0
"""A transaction's time-out is 10 s."""
ANSWER_S_MAX: Final = 12.0
"""A connection is waited for and then the answer, 5 s each at most; the rest is a busy machine's."""
NOTICED_S_MAX: Final = 60.0
"""Twice what a projector waits for a silent PostgreSQL."""
WITHOUT_END: Final = 1_000
"""More connections than the server gives."""


async def worker_killed(testbed: Testbed) -> None:
    testbed.kill("worker-1")
    testbed.start("worker-1")


async def worker_killed_and_away(testbed: Testbed) -> None:
    testbed.kill("worker-2")
    await testbed.out_of_the_group("worker-2")
    testbed.start("worker-2")


async def projector_killed(testbed: Testbed) -> None:
    testbed.kill("projector-1")
    await testbed.further(STRETCH)
    testbed.start("projector-1")


async def gateway_killed(testbed: Testbed) -> None:
    testbed.kill("gateway-1")
    await testbed.further(STRETCH)
    testbed.start("gateway-1")


async def provider_killed(testbed: Testbed) -> None:
    testbed.kill("provider-1")
    await testbed.further(STRETCH)
    testbed.start("provider-1")


async def postgres_stopped_at_once(testbed: Testbed) -> None:
    await testbed.kill_server("postgres", signal.SIGQUIT)  # the signal of pg_ctl stop -m immediate
    await testbed.further(STRETCH)
    await testbed.servers_up()


async def redis_killed(testbed: Testbed) -> None:
    await testbed.kill_server("redis")
    await testbed.further(STRETCH)
    await testbed.servers_up()


async def broker_killed(testbed: Testbed) -> None:
    await testbed.kill_server("kafka-1")
    await testbed.further(STRETCH)
    await testbed.servers_up()


async def broker_killed_and_away(testbed: Testbed) -> None:
    """Longer than a transaction may take: it is the broker that ends them, when it is back."""
    await testbed.kill_server("kafka-1")
    await asyncio.sleep(BEYOND_THE_TRANSACTION_S)
    await testbed.servers_up()


async def worker_paused_beyond_the_session(testbed: Testbed) -> None:
    testbed.live.processes["worker-1"].signal(signal.SIGSTOP)
    await testbed.out_of_the_group("worker-1")
    await testbed.further(STRETCH)
    testbed.live.processes["worker-1"].signal(signal.SIGCONT)


async def worker_added_and_removed(testbed: Testbed) -> None:
    testbed.start("worker-3")
    await testbed.live.ready("3")
    await testbed.further(STRETCH)
    await testbed.stop("worker-3")


async def everything_stopped(testbed: Testbed) -> None:
    await testbed.stop(*EVERYTHING)
    await testbed.servers_down()
    await testbed.servers_up()
    testbed.start(*EVERYTHING)


async def tables_deleted(testbed: Testbed) -> None:
    testbed.kill("worker-1")
    shutil.rmtree(testbed.tables("worker-1"))
    testbed.start("worker-1")
    await testbed.live.ready("1")


async def tables_of_earlier_put_back(testbed: Testbed) -> None:
    await testbed.stop("worker-2")
    tables = testbed.tables("worker-2")
    earlier = tables.with_name("earlier")
    await asyncio.to_thread(shutil.copytree, tables, earlier)
    testbed.start("worker-2")
    await testbed.live.ready("2")
    await testbed.further(STRETCH)
    testbed.kill("worker-2")
    shutil.rmtree(tables)
    earlier.rename(tables)
    testbed.start("worker-2")
    await testbed.live.ready("2")


async def postgres_out_of_connections(testbed: Testbed) -> None:
    """Take every connection that there is, those of the system too, which lose theirs."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        await _take_what_is_left(testbed, taken)
        await taken[0].execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name <> 'greedy' AND backend_type = 'client backend'"
        )
        await _take_what_is_left(testbed, taken)
        await testbed.further(STRETCH)
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))


async def _take_what_is_left(testbed: Testbed, taken: list[asyncpg.Connection[asyncpg.Record]]) -> None:
    settings = {"application_name": "greedy"}
    for _ in range(WITHOUT_END):
        try:
            taken.append(await asyncpg.connect(testbed.servers.postgres, server_settings=settings))
        except asyncpg.TooManyConnectionsError:
            return


async def workers_killed_together(testbed: Testbed) -> None:
    testbed.kill(*WORKERS)
    testbed.start(*WORKERS)


async def worker_cut_off_beyond_the_session(testbed: Testbed) -> None:
    async with testbed.network.silent("kafka", "worker-1"):
        await testbed.out_of_the_group("worker-1")
        await testbed.further(STRETCH)


async def worker_cut_off_within_the_session(testbed: Testbed) -> None:
    async with testbed.network.silent("kafka", "worker-1"):
        await testbed.further(WITHIN_THE_SESSION)


async def broker_connections_reset(testbed: Testbed) -> None:
    async with testbed.network.resetting("kafka", *CONNECTED):
        await testbed.further(STRETCH)


async def broker_far_away(testbed: Testbed) -> None:
    async with testbed.network.far("kafka", *WORKERS, latency_ms=200, jitter_ms=100):
        await testbed.further(STRETCH)


async def postgres_silent(testbed: Testbed) -> None:
    """Nothing is heard of PostgreSQL, until the projector has noticed; reads are answered meanwhile."""
    (row,) = await testbed.live.rows("SELECT wallet_id::text FROM wallet_snapshots LIMIT 1")
    log = testbed.live.processes["projector-1"].log
    before = log.read_text().count("projections wait for PostgreSQL")

    async def has_noticed() -> bool:
        return log.read_text().count("projections wait for PostgreSQL") > before

    async with testbed.network.silent("postgres", *CONNECTED):
        await _answered_in_time(testbed, f"/v1/wallets/{row['wallet_id']}", status=503)
        await _answered_in_time(testbed, "/health/ready", status=503)
        await eventually(has_noticed, what="the projector has noticed", seconds=NOTICED_S_MAX)


async def postgres_far_away(testbed: Testbed) -> None:
    async with testbed.network.far("postgres", *CONNECTED, latency_ms=100, jitter_ms=50):
        await testbed.further(STRETCH)


async def redis_silent(testbed: Testbed) -> None:
    """Nothing is heard of Redis; balances are read from PostgreSQL, and workers are ready."""
    (row,) = await testbed.live.rows("SELECT wallet_id::text FROM wallet_snapshots LIMIT 1")
    async with testbed.network.silent("redis", *CONNECTED):
        await _answered_in_time(testbed, f"/v1/wallets/{row['wallet_id']}/balance", status=200)
        await _answered_in_time(testbed, "/health/ready", status=200)
        await testbed.further(STRETCH)


async def _answered_in_time(testbed: Testbed, path: str, *, status: int) -> None:
    async with asyncio.timeout(ANSWER_S_MAX):
        answered, body, _ = await testbed.live.request("GET", path, worker_id="2")
    assert answered == status, body


ANYWHERE_NEMESES: Final[tuple[Nemesis, ...]] = (
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
    broker_killed_and_away,
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
NETWORK_NEMESES: Final[tuple[Nemesis, ...]] = (
    worker_cut_off_beyond_the_session,
    worker_cut_off_within_the_session,
    broker_connections_reset,
    broker_far_away,
    postgres_silent,
    postgres_far_away,
    redis_silent,
)
"""Those that need ways which can be cut, see `network_of`."""
NEMESES: Final = ANYWHERE_NEMESES + NETWORK_NEMESES


def name_of(nemesis: Nemesis) -> str:
    """Return the fault as people say it."""
    return getattr(nemesis, "__name__", "").replace("_", " ")
