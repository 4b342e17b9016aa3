"""Phases: what a takeover is at, what is left to be read back, and how long each part took.

One per process, written by whoever takes over and read by health and metrics.  It counts
in offsets, which is as exact as can be known ahead: markers of transactions and records
that compaction has taken count as left until they are passed.
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
"""Between two lines of the log on how far the tables are."""

SLOW_PHASE_S: Final = 10.0
"""Of one phase: longer than any but a large restore takes."""

PHASE_TEXT: Final = {
    "cycle": "the commit in flight is waited for",
    "producers": "the producers start",
    "open": "the tables are opened",
    "commits": "transactions of the partitions' last owner are waited for",
    "restore": "tables are read back from their changelogs",
    "resume": "the positions are sought",
}
"""The phases in order, and what is done in each."""

UNKNOWN_TOPICS: Final = "topics that the broker does not know are waited for"
NO_PARTITIONS: Final = "partitions are waited for"
Place = tuple[str, int]
"""A table's name and a partition of it."""


class PublicText(str):
    """Words of ours that anybody may read, unlike those of an error."""


class TakeoverProgress:
    """The takeover under way, or else the last one."""

    def __init__(self) -> None:
        self._phase = ""
        self._before = NO_PARTITIONS
        self._since_s = 0.0
        self._took_s = dict.fromkeys(PHASE_TEXT, 0.0)
        self._left: dict[Place, int] = {}
        self._total = 0
        self._began_s = self._reported_s = 0.0

    def wait_for_topics(self, unknown: Collection[str]) -> None:
        """Note which topics keep the process from joining its group; none: it joins."""
        names = ", ".join(sorted(unknown))
        self._before = f"{UNKNOWN_TOPICS}: {names}" if names else NO_PARTITIONS
        if names:
            log.warning(
                "%s (ledger-streams topics apply; where rights are granted, topics acls)", self._before
            )

    def enter(self, phase: str) -> None:
        """Begin a phase, again if an attempt has failed; the one before is over."""
        assert phase in PHASE_TEXT, f"no phase {phase!r}"
        self._leave()
        self._phase, self._since_s = phase, time.monotonic()

    def end(self) -> None:
        """The takeover has come to its end: show what it took."""
        self._leave()
        for phase in PHASE_TEXT:
            LAST_TAKEOVER_SECONDS.labels(phase).set(self._took_s[phase])
        took = ", ".join(f"{phase} {self._took_s[phase]:.2f} s" for phase in PHASE_TEXT)
        log.info("the takeover took %.2f s: %s", sum(self._took_s.values()), took)
        self._took_s = dict.fromkeys(PHASE_TEXT, 0.0)

    def begin_restore(self, left: Mapping[Place, int]) -> None:
        """Note how many offsets of each partition are to be read back."""
        self._left = dict(left)
        self._total = sum(left.values())
        self._began_s = self._reported_s = time.monotonic()
        self._show()

    def set_left(self, place: Place, left: int) -> None:
        """Note how many offsets are left of a partition."""
        self._left[place] = max(0, left)

    def report(self) -> None:
        """Show how far it is: in the metrics at once, in the log once in a while."""
        self._show()
        if time.monotonic() - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = time.monotonic()
            log.info("%s", self.text())

    def report_if_slow(self) -> None:
        """Say in the log what has been waited for, if that is long."""
        for_s = time.monotonic() - self._since_s
        if self._phase and for_s >= SLOW_PHASE_S:
            log.warning("a takeover has been at it for %.0f s: %s", for_s, self.text())

    def text(self) -> PublicText:
        """Return what is being done, for people; topics or partitions are waited for before that."""
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
