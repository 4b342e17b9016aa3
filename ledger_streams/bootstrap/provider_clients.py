"""provider_clients: the HTTP client of the providers and their circuit breakers in Redis.

They live as long as the process.  Faust starts an app's own services after its agents, so the
agent opens them at its first batch.
"""

from __future__ import annotations

from mode import Service
from redis import asyncio as aioredis

from agents.providers import ProviderCalls
from ledger_streams.adapters.providers.http import HttpProviders
from ledger_streams.adapters.redis.balances import connect
from ledger_streams.adapters.redis.breakers import RedisBreakers
from ledger_streams.bounded_close import close_within
from ledger_streams.settings import Settings


class ProviderConnections(Service):
    """Opens the connections at first use and closes them when the gateway stops."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._calls: ProviderCalls | None = None
        self._http: HttpProviders | None = None
        self._redis: aioredis.Redis | None = None
        super().__init__()

    async def open(self) -> ProviderCalls:
        """Return the connections; the first call opens them."""
        if self._calls is None:
            settings = self._settings
            self._redis = connect(settings.redis)
            self._http = HttpProviders(
                settings.provider_urls,
                timeout_ms=settings.provider_timeout_ms,
                calls_max=settings.provider_calls_max,
            )
            breakers = RedisBreakers(
                self._redis, failures_max=settings.breaker_failures_max, open_s=settings.breaker_open_s
            )
            self._calls = ProviderCalls(self._http, breakers)
            await self._http.start()
        return self._calls

    async def on_stop(self) -> None:
        """Close the connections; the worker that takes over repeats the calls in flight."""
        self._calls = None
        if self._http is not None:
            await close_within("the providers' client", self._http.close())
        if self._redis is not None:
            await close_within("redis", self._redis.aclose())
