"""Closing days, beside each projector's agents: one of them has it done, the others find it done.

A day is closed at the first look after its end, and its root goes to the log and to the
topic `audit-roots`.
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
from ledger_streams.bootstrap.apps import projector
from ledger_streams.engine.periodic_job import Looking
from ledger_streams.metrics import AUDIT_CLOSED_DAY_SECONDS, AUDIT_CLOSING_SECONDS, AUDIT_CLOSINGS_FAILED
from ledger_streams.settings import settings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
"""A day may be closed a minute late; a look costs a few connections and reads a record a day."""


@projector.service
class ClosingService(Looking):
    """Looks once a minute whether a day has ended."""

    every_s = LOOK_EVERY_S
    put_off = "a day is closed"
    failures = AUDIT_CLOSINGS_FAILED
    _said: Root | None = None

    async def look(self) -> None:
        """Have the day closed that has ended, and say the last root that was not said yet."""
        config, began_s = settings(), time.monotonic()
        async with open_pool(config.postgres, connections_max=1) as pool:
            if await is_due(pool) and await close_in_subprocess():
                AUDIT_CLOSING_SECONDS.observe(time.monotonic() - began_s)
            closed = await publish(config, pool)
        if closed and closed[-1] != self._said:
            self._said = last = closed[-1]
            about = (last.day, last.leaves, last.root, last.seal)
            log.info("day %s: %d rows, root %s, seal %s; the root is on Kafka", *about)
            AUDIT_CLOSED_DAY_SECONDS.set(datetime.fromisoformat(last.day).replace(tzinfo=UTC).timestamp())
