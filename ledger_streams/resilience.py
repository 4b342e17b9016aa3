"""Resilience: retries with back-off while a dependency is unavailable.

Only `Unavailable` is retried.  The caller waits, so order is kept and no call is skipped.  Each
wait and the recovery are logged, so an outage is visible while it lasts.  Any other error
propagates at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_ms` up to `wait_ms_max`; without `attempts_max` they never end."""

    first_ms: float = 100
    wait_ms_max: float = 5_000
    attempts_max: int | None = None

    def waits_ms(self) -> Iterator[float]:
        """Yield the wait after each failed attempt except the last."""
        attempt, wait_ms = 1, self.first_ms
        while self.attempts_max is None or attempt < self.attempts_max:
            yield min(wait_ms, self.wait_ms_max)
            attempt, wait_ms = attempt + 1, min(wait_ms * 2, self.wait_ms_max)


FOR_EVER: Final = Backoff()
"""For a worker: it has nothing better to do than to wait for its dependency."""


async def retried(
    call: Callable[[], Awaitable[T]],
    *,
    purpose: str,
    backoff: Backoff = FOR_EVER,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Await `call()` until it succeeds, retrying on `Unavailable`; `purpose` names it in the log.

    Raises the last `Unavailable` after the last attempt of a bounded back-off.
    """
    waits_ms = backoff.waits_ms()
    attempt = 1
    while True:
        try:
            result = await call()
        except Unavailable as error:
            wait_ms = next(waits_ms, None)
            if wait_ms is None:
                raise
            log.warning("%s: %s (attempt %d); again in %.0f ms", purpose, error, attempt, wait_ms)
            await sleep(wait_ms / 1000)
            attempt += 1
        else:
            if attempt > 1:
                log.warning("%s: went through at attempt %d", purpose, attempt)
            return result
