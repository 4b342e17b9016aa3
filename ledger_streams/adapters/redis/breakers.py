"""Circuit breakers in Redis, one a provider for all workers: the hash `cb:<provider>`.

Its fields: `state` (CLOSED, OPEN, HALF_OPEN), `failures` (in a row), `last_failure` and
`since` (when it opened, or when its trial went out), in ms since 1970 by Redis' own clock.
Each step is a script, so of all workers that ask one gets the trial.  A breaker protects
the provider, not the money: while Redis is away every call is allowed.
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
"""A breaker nobody has used for an hour (and its open time) is forgotten: it says nothing of now."""


class RedisBreakers:
    """`ports.Breakers` on Redis; opens at `failures_max` failures in a row, for `open_s`."""

    def __init__(self, redis: aioredis.Redis, *, failures_max: int, open_s: float) -> None:
        self._failures_max = failures_max
        self._open_ms = int(open_s * 1000)
        self._ttl_ms = self._open_ms + IDLE_MS
        self._scripts = {call: _script(redis, call) for call in CALLS}
        self._away = False

    async def allow_call(self, provider: str) -> bool:
        """Say whether a call may be made now; yes, when Redis is away."""
        return await self._run("allow_call", provider, self._open_ms, self._ttl_ms, away=1) == 1

    async def record_success(self, provider: str) -> None:
        """Close it, unless it is open: that is a call from before."""
        if await self._run("record_success", provider, self._ttl_ms, away=0):
            log.warning("the breaker of provider %s has closed: its trial succeeded", provider)

    async def record_failure(self, provider: str) -> None:
        """Open it, if that was the trial or one failure too many."""
        if await self._run("record_failure", provider, self._failures_max, self._ttl_ms, away=0):
            BREAKER_OPENED.labels(provider).inc()
            log.warning("the breaker of provider %s has opened for %d ms", provider, self._open_ms)

    async def _run(self, call: str, provider: str, *arguments: int, away: int) -> int:
        """Run a script; return what it says, or `away`."""
        try:
            said = int(await self._scripts[call](keys=[f"cb:{provider}"], args=list(arguments)))
        except (RedisError, OSError) as error:
            BREAKER_SKIPPED.labels(call).inc()
            if not self._away:
                log.warning("breakers are not looked at, every call is allowed: redis is away: %r", error)
            self._away = True
            return away
        if self._away:
            log.warning("breakers are looked at again: redis is back")
        self._away = False
        return said


def _script(redis: aioredis.Redis, call: str) -> AsyncScript:
    file = files("ledger_streams.adapters.redis") / f"breaker_{call}.lua"
    return redis.register_script(file.read_text(encoding="utf-8"))
