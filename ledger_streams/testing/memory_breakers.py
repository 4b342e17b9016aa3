"""In-memory twin of the circuit breakers, with an injected clock.

It serves one process and forgets nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Breaker:
    state: str = "CLOSED"
    failures: int = 0
    since_ms: float = 0.0


class MemoryBreakers:
    """`ports.Breakers` in a dict; `clock_ms` returns a time in ms from any origin."""

    def __init__(self, *, failures_max: int, open_s: float, clock_ms: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._open_ms = open_s * 1000
        self._clock_ms = clock_ms
        self._breakers: defaultdict[str, _Breaker] = defaultdict(_Breaker)

    async def allow_call(self, provider: str) -> bool:
        """Tell whether a call is allowed now."""
        breaker, now_ms = self._breakers[provider], self._clock_ms()
        if breaker.state == "CLOSED":
            return True
        if 0 <= now_ms - breaker.since_ms < self._open_ms:
            return False
        breaker.state, breaker.since_ms = "HALF_OPEN", now_ms
        return True

    async def record_success(self, provider: str) -> None:
        """Close the breaker unless it is open: that call began before it opened."""
        breaker = self._breakers[provider]
        if breaker.state != "OPEN":
            breaker.state, breaker.failures = "CLOSED", 0

    async def record_failure(self, provider: str) -> None:
        """Count a failure; open the breaker after a failed trial or too many failures in a row."""
        breaker = self._breakers[provider]
        breaker.failures += 1
        if breaker.state == "HALF_OPEN" or (
            breaker.state == "CLOSED" and breaker.failures >= self._failures_max
        ):
            breaker.state, breaker.since_ms = "OPEN", self._clock_ms()
