"""Circuit breakers in Redis, one a provider for all workers: the hash `cb:<provider>`.

Its fields: `state` (CLOSED, OPEN, HALF_OPEN), `failures` (in a row), `last_failure` and
`since` (when it opened, or when its trial went out), in ms since 1970 by Redis' own clock.
Each step is a Lua script, so exactly one worker gets the trial call.  A breaker protects the
provider, not the money: while Redis is unavailable every call is allowed.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import Final

from redis import asyncio as aioredis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from ledger_streams.metrics import BREAKER_OPENED, BREAKER_SKIPPED

log = logging.getLogger(__name__)

CALLS: Final = ("allow_call", "record_success", "record_failure")
IDLE_MS: Final = 3_600_000
"""Time to live of an unused breaker beyond its open time; its state is outdated after an hour."""


class RedisBreakers:
    """`ports.Breakers` on Redis; opens at `failures_max` failures in a row, for `open_s`."""

    def __init__(self, redis: aioredis.Redis, *, failures_max: int, open_s: float) -> None:
        self._failures_max = failures_max
        self._open_ms = int(open_s * 1000)
        self._ttl_ms = self._open_ms + IDLE_MS
        self._scripts = {call: _script(redis, call) for call in CALLS}
        self._away = False

    async def allow_call(self, provider: str) -> bool:
        """Tell whether a call is allowed now; true while Redis is unavailable."""
        return await self._run("allow_call", provider, self._open_ms, self._ttl_ms, away=1) == 1

    async def record_success(self, provider: str) -> None:
        """Close the breaker after a success; an open one stays open: that call began before it opened."""
        if await self._run("record_success", provider, self._ttl_ms, away=0):
            log.warning("Circuit breaker of provider %s closed: its trial call succeeded.", provider)

    async def record_failure(self, provider: str) -> None:
        """Count a failure; open the breaker after a failed trial or too many failures in a row."""
        if await self._run("record_failure", provider, self._failures_max, self._ttl_ms, away=0):
            BREAKER_OPENED.labels(provider).inc()
            log.warning(
                "Circuit breaker of provider %s opened for %d ms: its calls fail without being sent.",
                provider,
                self._open_ms,
            )

    async def _run(self, call: str, provider: str, *arguments: int, away: int) -> int:
        """Run a script; return its result, or `away` while Redis is unavailable."""
        try:
            said = int(await self._scripts[call](keys=[f"cb:{provider}"], args=list(arguments)))
        except (RedisError, OSError) as error:
            BREAKER_SKIPPED.labels(call).inc()
            if not self._away:
                log.warning("Redis unavailable (%r): circuit breakers bypassed, allowing all calls.", error)
            self._away = True
            return away
        if self._away:
            log.warning("Redis available again: circuit breakers in use.")
        self._away = False
        return said


def _script(redis: aioredis.Redis, call: str) -> AsyncScript:
    file = files("ledger_streams.adapters.redis") / f"breaker_{call}.lua"
    return redis.register_script(file.read_text(encoding="utf-8"))
