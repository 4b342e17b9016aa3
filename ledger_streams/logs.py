"""Logs: levels and rate limits for the libraries' loggers.

Faust's worker sets up handlers and the level of `-l`; this module sets a higher minimum level
for libraries.  Their DEBUG output is several lines for each record, and costs a tenth of the
time even when no handler prints it.  aiokafka logs an error for each attempt to reach an
unavailable broker, 300 lines a second; the calls to an unavailable Redis log as many.  Rate
limits keep one of these lines every five seconds.  asyncpg's pool logs a traceback for each
connection that it cannot replace; the caller of the pool logs the error in one line.
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
"""Loggers with a rate limit, from this level on; the modules of Redis and the web log every call."""
REPEAT_S: Final = 5.0


class RateLimitFilter(logging.Filter):
    """Passes an equal line once every REPEAT_S, with the number of lines omitted since the last one.

    Lines are equal if their messages are equal before formatting.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic, *, level: int = logging.ERROR) -> None:
        super().__init__()
        self._level = level
        self._clock_s = clock_s
        self._logged_s: dict[str, float] = {}
        self._omitted: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged; append the number of omitted lines to it."""
        if record.levelno < self._level:
            return True
        message, now_s = str(record.msg), self._clock_s()
        if now_s - self._logged_s.get(message, -math.inf) < REPEAT_S:
            self._omitted[message] = self._omitted.get(message, 0) + 1
            return False
        self._logged_s[message] = now_s
        if omitted := self._omitted.pop(message, 0):
            record.msg = f"{message} (and {omitted} times before)"
        return True


def quiet_libraries() -> None:
    """Set levels and rate limits of the libraries' loggers, and escape the arguments of log lines."""
    escape_log_arguments()
    for name, level in LEVELS_MIN.items():
        logging.getLogger(name).setLevel(level)
    for name, level in RATE_LIMITED.items():
        logger = logging.getLogger(name)
        if not any(isinstance(kept, RateLimitFilter) for kept in logger.filters):
            logger.addFilter(RateLimitFilter(level=level))


def progress_text(done: int, total: int, what: str, seconds: float) -> str:
    """Return progress, rate and estimated remaining time of work that has taken `seconds` so far."""
    rate_per_s = done / max(seconds, 0.001)
    end = f", some {(total - done) / rate_per_s:.0f} s left" if rate_per_s >= 1 else ""
    percent = 100 * done // total if total else 100  # 100 only when nothing is left
    return f"{done:,} of {total:,} {what} ({percent} %), {rate_per_s:,.0f} a second{end}"
