"""Gateway wiring: what a gateway asks providers with, made when it is first asked for.

The client of the providers and their breakers live as long as the process; Faust starts
an app's own services after its agents, which is why the agent does not wait for one.
"""

from __future__ import annotations

from dataclasses import dataclass

from mode import Service
from redis import asyncio as aioredis

from ledger_streams.adapters.providers.http import HttpProviders
from ledger_streams.adapters.redis.balances import connect
from ledger_streams.adapters.redis.breakers import RedisBreakers
from ledger_streams.bootstrap.apps import gateway
from ledger_streams.bounded_close import close_within
from ledger_streams.ports import Breakers, Providers
from ledger_streams.settings import settings


@dataclass(frozen=True, slots=True)
class ProviderCalls:
    """The providers, and the breakers to ask before each call and to tell after it."""

    providers: Providers
    breakers: Breakers


@gateway.service
class ProviderConnections(Service):
    """Closes, when the gateway stops, what was opened."""

    calls: ProviderCalls | None = None
    _http: HttpProviders | None = None
    _redis: aioredis.Redis | None = None

    @classmethod
    async def opened(cls) -> ProviderCalls:
        """Return the connections, opened by the first who asks."""
        if cls.calls is None:
            config = settings()
            cls._redis = connect(config.redis)
            cls._http = HttpProviders(
                config.provider_urls,
                timeout_ms=config.provider_timeout_ms,
                calls_max=config.provider_calls_max,
            )
            breakers = RedisBreakers(
                cls._redis, failures_max=config.breaker_failures_max, open_s=config.breaker_open_s
            )
            cls.calls = ProviderCalls(cls._http, breakers)
            await cls._http.start()
        return cls.calls

    async def on_stop(self) -> None:
        """Close the connections; calls that are out are asked again by whoever takes over."""
        cls = type(self)
        cls.calls = None
        if cls._http is not None:
            await close_within("the providers' client", cls._http.close())
        if cls._redis is not None:
            await close_within("redis", cls._redis.aclose())
