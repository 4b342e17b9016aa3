"""Logs: one line an event, for people, with its facts as key=value at the end.

Facts are given as `extra`: `log.info("partition taken", extra={"partition": 3})`.
The libraries below us stay at WARNING or, where the level asks for less, at that:
their DEBUG is several lines a record.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

LIBRARIES: Final = ("aiokafka", "faust", "mode", "asyncio", "aiohttp", "asyncpg")
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FactsFormatter(logging.Formatter):
    """Time in UTC, level, logger, message, facts."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """Append what the caller gave as `extra`."""
        facts = [f"{key}={value}" for key, value in vars(record).items() if key not in _OWN_FIELDS]
        return " ".join([super().formatMessage(record), *facts])


def configure(level: str) -> None:
    """Send the process's logs to stderr; `level` is that of the application's own loggers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FactsFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    least = max(logging.WARNING, logging.getLogger().level)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(least)
