"""Logs: what of the libraries below is worth a line.

Faust's worker sets up handlers and the level asked for with `-l`; the libraries' own
loggers are kept above that.  Their DEBUG is several lines a record, and costs a tenth
of the time even unseen; aiokafka warns of every retry it makes by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

LEAST_LEVELS: Final[Mapping[str, int]] = {
    "aiokafka": logging.WARNING,
    "aiokafka.consumer.group_coordinator": logging.INFO,
    "aiokafka.producer.sender": logging.ERROR,
    "faust": logging.INFO,
    "mode": logging.INFO,
    "asyncio": logging.WARNING,
}


def quiet_libraries() -> None:
    """Keep the libraries' loggers at what an operator can use."""
    for name, level in LEAST_LEVELS.items():
        logging.getLogger(name).setLevel(level)


def how_far(done: int, total: int, what: str, seconds: float) -> str:
    """Say how far some work is, how fast it went for so many seconds, and when it may be expected to end."""
    rate_per_s = done / max(seconds, 0.001)
    end = f", some {(total - done) / rate_per_s:.0f} s left" if rate_per_s >= 1 else ""
    percent = 100 * done // total if total else 100  # 100 only when nothing is left
    return f"{done:,} of {total:,} {what} ({percent} %), {rate_per_s:,.0f} a second{end}"
