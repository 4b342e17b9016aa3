"""The in-memory twin of the circuit breakers: the same steps, with a clock that is passed in.

It serves one process; nothing in it is ever forgotten.
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
    """`ports.Breakers` in a dict; `clock_ms` says the time in ms, from any beginning."""

    def __init__(self, *, failures_max: int, open_s: float, clock_ms: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._open_ms = open_s * 1000
        self._clock_ms = clock_ms
        self._breakers: defaultdict[str, _Breaker] = defaultdict(_Breaker)

    async def allow_call(self, provider: str) -> bool:
        """Say whether a call may be made now."""
        breaker, now_ms = self._breakers[provider], self._clock_ms()
        if breaker.state == "CLOSED":
            return True
        if 0 <= now_ms - breaker.since_ms < self._open_ms:
            return False
        breaker.state, breaker.since_ms = "HALF_OPEN", now_ms
        return True

    async def record_success(self, provider: str) -> None:
        """Close it, unless it is open: that is a call from before."""
        breaker = self._breakers[provider]
        if breaker.state != "OPEN":
            breaker.state, breaker.failures = "CLOSED", 0

    async def record_failure(self, provider: str) -> None:
        """Open it, if that was the trial or one failure too many."""
        breaker = self._breakers[provider]
        breaker.failures += 1
        if breaker.state == "HALF_OPEN" or (
            breaker.state == "CLOSED" and breaker.failures >= self._failures_max
        ):
            breaker.state, breaker.since_ms = "OPEN", self._clock_ms()
