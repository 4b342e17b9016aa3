"""day_close_job: closes each day after its end, in one of the projectors.

The first check after a day's end closes it; its root goes to the log and to the topic
`audit-roots`.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Final

from ledger_streams.adapters.postgres.pool import open_pool
from ledger_streams.audit.database import is_due
from ledger_streams.audit.day_close import close_in_subprocess, publish
from ledger_streams.audit.roots import Root
from ledger_streams.engine.periodic_job import PeriodicJob
from ledger_streams.metrics import AUDIT_CLOSED_DAY_SECONDS, AUDIT_CLOSING_SECONDS, AUDIT_CLOSINGS_FAILED
from ledger_streams.settings import Settings

log = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 60.0
"""A day may be closed a minute late; a check costs a few connections and reads a record a day."""


class DayCloseJob(PeriodicJob):
    """Checks once a minute whether a day has ended."""

    every_s = CHECK_EVERY_S
    failure_message = "Closing the day failed"
    failures = AUDIT_CLOSINGS_FAILED

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logged: Root | None = None
        super().__init__()

    async def run_once(self) -> None:
        """Close the day that has ended, and log the latest root once."""
        began_s = time.monotonic()
        async with open_pool(self._settings.postgres, connections_max=1) as pool:
            if await is_due(pool) and await close_in_subprocess():
                AUDIT_CLOSING_SECONDS.observe(time.monotonic() - began_s)
            closed = await publish(self._settings, pool)
        if closed and closed[-1] != self._logged:
            self._logged = last = closed[-1]
            about = (last.day, last.leaves, last.root, last.seal)
            log.info("day %s: %d rows, root %s, seal %s; the root is on Kafka", *about)
            AUDIT_CLOSED_DAY_SECONDS.set(datetime.fromisoformat(last.day).replace(tzinfo=UTC).timestamp())
