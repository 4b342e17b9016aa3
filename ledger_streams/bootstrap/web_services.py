"""web_services: the connections of the web views, opened when a worker or an api starts.

The views ask for them at each request.  Before they are open, and while the process stops, the
answer is `Unavailable`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from mode import Service

from ledger_streams import background
from ledger_streams.adapters.outcomes import OutcomePoller
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.adapters.redis.claims import RedisClaims
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.kafka_settings import client_options
from ledger_streams.metrics import PAYMENT_OLDEST_SECONDS, PAYMENTS_STUCK
from ledger_streams.resilience import retried
from ledger_streams.settings import Settings

log = logging.getLogger(__name__)

STUCK_EVERY_S = 10.0
"""Between two counts of stuck payments."""
POOL_CONNECTIONS_MAX = 10
"""For one worker's web views; PgBouncer and several workers share the server's 200."""


class Connections:
    """The connections of one process's web views."""

    def __init__(self, pool: Pool, settings: Settings, clock: BrokerClock) -> None:
        self.pool = pool
        self.redis = connect(settings.redis)
        self.read_model = PostgresReadModel(pool)
        self.cache = RedisBalances(self.redis, ttl_s=settings.balance_ttl_s)
        self.claims = RedisClaims(self.redis)
        client_id = f"{settings.app_id}-api-{settings.worker_id}"
        self.publisher = KafkaPublisher(client_options(settings), clock=clock, client_id=client_id)
        self.outcomes = OutcomePoller(self.read_model)

    async def start(self) -> None:
        """Start the publisher and the outcome poller; waits for Kafka."""
        await retried(self.publisher.start, purpose="API start: connecting to Kafka")
        await self.outcomes.start()
        try:
            await self.cache.learn_epoch()
        except Unavailable as error:
            log.warning(
                "Redis unavailable, API starts without the cache, reads balances in PostgreSQL: %s",
                error,
            )

    async def close(self) -> None:
        """Close all connections."""
        await self.outcomes.stop()
        await self.publisher.stop()
        await close_within("redis", self.redis.aclose())
        await close_within("postgres", self.pool.close())


class ConnectionService(Service):
    """Opens the connections in the background: an unavailable dependency delays no other service."""

    def __init__(self, settings: Settings, clock: BrokerClock) -> None:
        self._settings = settings
        self._clock = clock
        self._connections: Connections | None = None
        super().__init__()

    def opened(self) -> Connections:
        """Return the open connections; raises Unavailable while there are none."""
        if self._connections is None:
            raise Unavailable(dependency="worker", detail="it is starting or stopping")
        return self._connections

    @Service.task
    async def _open(self) -> None:
        pool = await retried(
            lambda: create_pool(self._settings.pooled_postgres, connections_max=POOL_CONNECTIONS_MAX),
            purpose="API start: connecting to PostgreSQL",
        )
        opened = Connections(pool, self._settings, self._clock)
        await opened.start()
        self._connections = opened

    @Service.task
    async def _watch_stuck(self) -> None:
        await background.kept_up("stuck-payments", lambda: self._every(STUCK_EVERY_S, self._count_stuck))

    async def _every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        while not self.should_stop:
            await self.sleep(seconds)
            await look()

    async def _count_stuck(self) -> None:
        """Set the metrics of stuck payments."""
        if self._connections is None:
            return
        now = self._clock.now()
        try:
            stuck = await self._connections.read_model.under_way(
                now - timedelta(seconds=self._settings.saga_stuck_s)
            )
        except Unavailable as error:
            log.warning("Stuck payments not counted: %s. The next try is in 10 s.", error)
            return
        PAYMENTS_STUCK.set(stuck.payments)
        PAYMENT_OLDEST_SECONDS.set(0 if stuck.oldest is None else (now - stuck.oldest).total_seconds())

    async def on_stop(self) -> None:
        """Close the connections."""
        opened, self._connections = self._connections, None
        if opened is not None:
            await opened.close()
