"""The broker's clock, as far as this process can tell: the ledger's time is the broker's append time.

Deadlines are reckoned from append times, so a machine whose own clock is wrong would keep
them too early or too late.  Its clock is therefore believed only within bounds: an
acknowledged record was appended after it was sent and before the acknowledgement came.
Between two of them the steady clock goes on.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from aiokafka.structs import RecordMetadata

from ledger_streams.metrics import CLOCK_AHEAD_SECONDS

log = logging.getLogger(__name__)

SAID_FROM_MS: Final = 1_000
LOG_APPEND_TIME: Final = 1
"""The timestamp of a topic's records is the broker's."""
"""Machines that keep time by NTP differ by less."""
MS: Final = 1_000


def _wall_ms() -> float:
    return time.time() * MS


def _steady_ms() -> float:
    return time.monotonic() * MS


class BrokerClock:
    """This machine's clock, kept within what the broker has said; all times in ms since 1970.

    `wall_ms` may be set to anything at any moment; `steady_ms` goes on evenly, from any beginning.
    """

    def __init__(
        self, *, wall_ms: Callable[[], float] = _wall_ms, steady_ms: Callable[[], float] = _steady_ms
    ) -> None:
        self._wall_ms = wall_ms
        self.steady_ms = steady_ms
        self._least_ms, self._most_ms = -math.inf, math.inf
        """Bounds of the broker's clock less the steady one."""
        self._is_said = False

    def now_ms(self) -> int:
        """Return the broker's time."""
        return int(self._wall_ms() - self._ahead_ms())

    def now(self) -> datetime:
        """Return the broker's time, in UTC."""
        return datetime.fromtimestamp(self.now_ms() / MS, UTC)

    def acknowledged(self, record: RecordMetadata, *, sent_ms: float) -> None:
        """Take in an acknowledgement that came just now, of a record sent at a time of `steady_ms`."""
        if record.timestamp_type != LOG_APPEND_TIME:
            return
        appended_ms = record.timestamp
        least_ms, most_ms = appended_ms - self.steady_ms(), appended_ms + 1 - sent_ms
        if max(least_ms, self._least_ms) <= min(most_ms, self._most_ms):
            least_ms, most_ms = max(least_ms, self._least_ms), min(most_ms, self._most_ms)
        self._least_ms, self._most_ms = least_ms, most_ms  # a contradiction: one of the clocks was set
        self._tell()

    def _ahead_ms(self) -> float:
        """Return by how much this machine's clock is wrong; negative when it is behind.

        Out of bounds, the least that the broker's may be counts: so nothing is too early.
        """
        difference_ms = self._wall_ms() - self.steady_ms()
        if self._least_ms <= difference_ms <= self._most_ms:
            return 0.0
        return difference_ms - self._least_ms

    def _tell(self) -> None:
        ahead_ms = self._ahead_ms()
        CLOCK_AHEAD_SECONDS.set(ahead_ms / MS)
        is_wrong = abs(ahead_ms) > SAID_FROM_MS
        if is_wrong and not self._is_said:
            log.warning("this machine's clock is %.1f s ahead of the broker's, which counts", ahead_ms / MS)
        self._is_said = is_wrong
