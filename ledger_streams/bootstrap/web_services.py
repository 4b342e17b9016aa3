"""Wiring: the connections of the web views, of a ledger worker or of an api, made when it starts.

The views ask for them at each request; before they exist, and while a worker is
stopping, the answer is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from mode import Service

from ledger_streams import background
from ledger_streams.adapters.outcomes import OutcomePoller
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.adapters.redis.claims import RedisClaims
from ledger_streams.bootstrap.apps import api, clock, ledger
from ledger_streams.bootstrap.kafka_checks import kafka_state
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.metrics import PAYMENT_OLDEST_SECONDS, PAYMENTS_STUCK
from ledger_streams.resilience import retried
from ledger_streams.settings import settings

log = logging.getLogger(__name__)

STUCK_EVERY_S = 10.0
"""Between two counts of the payments that wait too long."""
POOL_CONNECTIONS_MAX = 10
"""Of one worker's web views; PgBouncer and several workers share the server's 200."""


class Connections:
    """What the web views of one process are connected to."""

    def __init__(self, pool: Pool) -> None:
        config = settings()
        self.pool = pool
        self.redis = connect(config.redis)
        self.read_model = PostgresReadModel(pool)
        self.cache = RedisBalances(self.redis, ttl_s=config.balance_ttl_s)
        self.claims = RedisClaims(self.redis)
        client_id = f"{config.app_id}-api-{config.worker_id}"
        self.publisher = KafkaPublisher(client_options(config), clock=clock, client_id=client_id)
        self.outcomes = OutcomePoller(self.read_model)

    async def start(self) -> None:
        """Start what runs by itself; waits for Kafka."""
        await retried(self.publisher.start, purpose="the API waits for Kafka")
        await self.outcomes.start()
        try:
            await self.cache.learn_epoch()
        except Unavailable as error:
            log.warning("The API starts without the cache, balances come from PostgreSQL: %s", error)

    async def close(self) -> None:
        """Close everything, the acknowledged and the open."""
        await self.outcomes.stop()
        await self.publisher.stop()
        await close_within("redis", self.redis.aclose())
        await close_within("postgres", self.pool.close())


@api.service
@ledger.service
class ConnectionService(Service):
    """Opens the connections beside the worker's other services; a dependency away holds up nothing else."""

    connections: Connections | None = None

    @Service.task
    async def _open(self) -> None:
        config = settings()
        pool = await retried(
            lambda: create_pool(config.pooled_postgres, connections_max=POOL_CONNECTIONS_MAX),
            purpose="the API waits for PostgreSQL",
        )
        opened = Connections(pool)
        await opened.start()
        type(self).connections = opened

    @Service.task
    async def _watch_stuck(self) -> None:
        await background.kept_up("stuck-payments", lambda: self._every(STUCK_EVERY_S, self._count_stuck))

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        while not self.should_stop:
            await self.sleep(seconds)
            await look()

    async def _count_stuck(self) -> None:
        """Count the payments that wait too long, for the metrics."""
        if self.connections is None:
            return
        now = clock.now()
        try:
            stuck = await self.connections.read_model.under_way(
                now - timedelta(seconds=settings().saga_stuck_s)
            )
        except Unavailable as error:
            log.warning("stuck payments are not counted: %s", error)
            return
        PAYMENTS_STUCK.set(stuck.payments)
        PAYMENT_OLDEST_SECONDS.set(0 if stuck.oldest is None else (now - stuck.oldest).total_seconds())

    async def on_stop(self) -> None:
        """Close what was opened."""
        opened, type(self).connections = type(self).connections, None
        if opened is not None:
            await opened.close()


def connections() -> Connections:
    """Return the open connections; raises Unavailable while there are none."""
    if ConnectionService.connections is None:
        raise Unavailable(dependency="worker", detail="it is starting or stopping")
    return ConnectionService.connections


async def worker_readiness() -> Mapping[str, str]:
    """Say of the worker and of each dependency `ok` or what is wrong with it."""
    return {"tables": ledger.readiness, **await _readiness("worker")}


async def readiness() -> Mapping[str, str]:
    """Say of each dependency of an api `ok` or what is wrong with it."""
    return await _readiness("api")


async def _readiness(kind: str) -> Mapping[str, str]:
    probes: dict[str, Awaitable[object]] = {"kafka": kafka_state(kind)}
    states: dict[str, str] = {}
    try:
        opened = connections()
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
