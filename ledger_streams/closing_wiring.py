"""Closing days, in each projector beside its agents: one of them does it, the others find it done.

A day is closed at the first look after its end, and its root goes to the log and to the
topic `audit-roots`.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Final

from ledger_streams import topics
from ledger_streams.adapters.kafka_roots import publish_missing
from ledger_streams.adapters.postgres_audit import STATEMENT_S_MAX, close_day, roots
from ledger_streams.adapters.postgres_pool import create_pool
from ledger_streams.app import projector
from ledger_streams.engine.looks import Looking
from ledger_streams.metrics import AUDIT_CLOSED_DAY_SECONDS, AUDIT_CLOSING_SECONDS, AUDIT_CLOSINGS_FAILED
from ledger_streams.settings import Settings, settings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
"""A day may be closed a minute late; a look costs a connection and a query."""


@projector.service
class ClosingService(Looking):
    """Looks once a minute whether a day has ended."""

    every_s = LOOK_EVERY_S
    put_off = "a day is closed"
    failures = AUDIT_CLOSINGS_FAILED

    async def look(self) -> None:
        """Close the day that has ended."""
        await close_and_publish(settings())


async def close_and_publish(config: Settings) -> None:
    """Close the day that has ended, unless it is; send to Kafka the roots that are not there."""
    async with await create_pool(
        config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX
    ) as pool:
        began_s = time.monotonic()
        root = await close_day(pool, config.topic(topics.WALLET_EVENTS), config.audit_key)
        if root is not None:
            AUDIT_CLOSING_SECONDS.observe(time.monotonic() - began_s)
            log.info("day %s: %d rows, root %s, seal %s", root.day, root.leaves, root.root, root.seal)
        closed = await roots(pool)
    if closed:
        last = datetime.fromisoformat(closed[-1].day).replace(tzinfo=UTC)
        AUDIT_CLOSED_DAY_SECONDS.set(last.timestamp())
    for day in await publish_missing(config.kafka, config.topic(topics.AUDIT_ROOTS), closed):
        log.info("the root of %s is on Kafka", day)
