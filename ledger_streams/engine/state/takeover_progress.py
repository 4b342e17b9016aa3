"""Takeover progress: the current phase, the records left to restore, the duration of each phase.

Each process has one; the takeover writes it, health and metrics read it.  It counts in offsets, so
transaction markers and compacted records count as left until the reader has passed them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from ledger_streams.logs import progress_text
from ledger_streams.metrics import LAST_TAKEOVER_SECONDS, RESTORE_LEFT_RECORDS

log = logging.getLogger(__name__)

REPORT_EVERY_S: Final = 2.0
"""Interval of the log lines about the restore."""

SLOW_PHASE_S: Final = 10.0
"""A phase of this length is logged as slow; only a large restore takes longer normally."""

PHASE_TEXT: Final = {
    "cycle": "waiting for the commit in flight",
    "producers": "starting the transactional producers",
    "open": "opening the tables",
    "commits": "waiting for open transactions of the partitions' last owner",
    "restore": "restoring tables from their changelogs",
    "resume": "seeking to the source offsets",
}
"""The phases in order, and the text that health and log show."""

UNKNOWN_TOPICS: Final = "waiting for topics that the broker does not know"
NO_PARTITIONS: Final = "waiting for an assignment of partitions"
Place = tuple[str, int]
"""A table's name and the number of a partition."""


class PublicText(str):
    """A text without secrets or addresses, safe for unauthenticated callers, unlike an error's."""


class TakeoverProgress:
    """Progress of the takeover in progress, or of the last one."""

    def __init__(self) -> None:
        self._phase = ""
        self._before = NO_PARTITIONS
        self._since_s = 0.0
        self._took_s = dict.fromkeys(PHASE_TEXT, 0.0)
        self._left: dict[Place, int] = {}
        self._total = 0
        self._began_s = self._reported_s = 0.0

    def wait_for_topics(self, unknown: Collection[str]) -> None:
        """Set the topics that keep the process from joining its group; an empty collection: it joins."""
        names = ", ".join(sorted(unknown))
        self._before = f"{UNKNOWN_TOPICS}: {names}" if names else NO_PARTITIONS
        if names:
            log.warning(
                "%s. Create them: ledger-streams topics apply; with ACLs, also topics acls", self._before
            )

    def enter(self, phase: str) -> None:
        """Begin a phase and end the one before; a failed attempt may begin its phases again."""
        assert phase in PHASE_TEXT, f"unknown phase {phase!r}"
        self._leave()
        self._phase, self._since_s = phase, time.monotonic()

    def end(self) -> None:
        """End the takeover; log and export the duration of its phases."""
        self._leave()
        for phase in PHASE_TEXT:
            LAST_TAKEOVER_SECONDS.labels(phase).set(self._took_s[phase])
        took = ", ".join(f"{phase} {self._took_s[phase]:.2f} s" for phase in PHASE_TEXT)
        log.info("the takeover took %.2f s: %s", sum(self._took_s.values()), took)
        self._took_s = dict.fromkeys(PHASE_TEXT, 0.0)

    def begin_restore(self, left: Mapping[Place, int]) -> None:
        """Set how many offsets of each partition are left to restore."""
        self._left = dict(left)
        self._total = sum(left.values())
        self._began_s = self._reported_s = time.monotonic()
        self._show()

    def set_left(self, place: Place, left: int) -> None:
        """Set how many offsets of a partition are left."""
        self._left[place] = max(0, left)

    def report(self) -> None:
        """Update the metrics; write a log line every REPORT_EVERY_S."""
        self._show()
        if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = time.monotonic()
            log.info("%s", self.text())

    def report_if_slow(self) -> None:
        """Log the current phase if it has lasted SLOW_PHASE_S."""
        for_s = time.monotonic() - self._since_s
        if self._phase and for_s >= SLOW_PHASE_S:
            log.warning("takeover is slow, %.0f s in one phase: %s", for_s, self.text())

    def text(self) -> PublicText:
        """Return the current phase as a text, or what the process waits for before a takeover."""
        if not self._phase:
            return PublicText(self._before)
        text, left = PHASE_TEXT[self._phase], sum(self._left.values())
        if self._phase != "restore" or not left:
            return PublicText(text)
        far = progress_text(self._total - left, self._total, "records", time.monotonic() - self._began_s)
        return PublicText(f"{text}: {far}")

    def _leave(self) -> None:
        if self._phase:
            self._took_s[self._phase] += time.monotonic() - self._since_s
        self._phase = ""

    def _show(self) -> None:
        left: Counter[str] = Counter()
        for (table, _), offsets in self._left.items():
            left[table] += offsets
        for table, offsets in left.items():
            RESTORE_LEFT_RECORDS.labels(table).set(offsets)
