"""Logs: levels and rate limits of noisy loggers.

Faust's worker sets up handlers and the level of `-l`; the libraries' loggers get higher levels.
Their DEBUG output is several lines a record and costs a tenth of the time even if no handler
prints it.  aiokafka warns at each of its own retries and logs an error at each attempt to reach an
unavailable broker, 300 lines a second.  Our calls of an unavailable Redis log as much with many
callers.  asyncpg's pool logs a traceback for each lost connection that it cannot replace; the
caller that needs the connection logs a sentence.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Final

from ledger_streams.escaping import escape_log_arguments

LEVELS_MIN: Final[Mapping[str, int]] = {
    "aiokafka": logging.WARNING,
    "aiokafka.consumer.group_coordinator": logging.INFO,
    "aiokafka.producer.sender": logging.ERROR,
    "faust": logging.INFO,
    "mode": logging.INFO,
    "asyncio": logging.WARNING,
    "asyncpg.pool": logging.ERROR,
}
RATE_LIMITED: Final[Mapping[str, int]] = {
    "aiokafka": logging.ERROR,
    "aiokafka.conn": logging.ERROR,
    "aiokafka.consumer.fetcher": logging.ERROR,
    "aiokafka.consumer.group_coordinator": logging.ERROR,
    "ledger_streams.adapters.redis.breakers": logging.WARNING,
    "web.payments.submission": logging.WARNING,
    "web.wallets.reads": logging.WARNING,
}
"""Rate-limited loggers, from this level on; ours log at each call while Redis is unavailable."""
REPEAT_S: Final = 5.0


class RateLimitFilter(logging.Filter):
    """Passes one record per message in five seconds, with the number of suppressed ones.

    Records have the same message if their format strings are equal.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic, *, level: int = logging.ERROR) -> None:
        super().__init__()
        self._level = level
        self._clock_s = clock_s
        self._passed_s: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record is logged."""
        if record.levelno < self._level:
            return True
        message, now_s = str(record.msg), self._clock_s()
        if now_s - self._passed_s.get(message, -math.inf) < REPEAT_S:
            self._suppressed[message] = self._suppressed.get(message, 0) + 1
            return False
        self._passed_s[message] = now_s
        if suppressed := self._suppressed.pop(message, 0):
            record.msg = f"{message} (and {suppressed} times before)"
        return True


def quiet_libraries() -> None:
    """Set the levels and rate limits of the libraries' loggers."""
    escape_log_arguments()
    for name, level in LEVELS_MIN.items():
        logging.getLogger(name).setLevel(level)
    for name, level in RATE_LIMITED.items():
        logger = logging.getLogger(name)
        if not any(isinstance(kept, RateLimitFilter) for kept in logger.filters):
            logger.addFilter(RateLimitFilter(level=level))


def progress_text(done: int, total: int, what: str, seconds: float) -> str:
    """Return progress, rate and estimated remaining time of some work after so many seconds."""
    rate_per_s = done / max(seconds, 0.001)
    end = f", some {(total - done) / rate_per_s:.0f} s left" if rate_per_s >= 1 else ""
    percent = 100 * done // total if total else 100  # 100 only when nothing is left
    return f"{done:,} of {total:,} {what} ({percent} %), {rate_per_s:,.0f} a second{end}"
