"""Day close: store the root of an ended day in the database, then publish it on Kafka.

A root reads and hashes all rows of the day, so a projector runs the close in a subprocess of low
priority.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import Pool, open_pool
from ledger_streams.audit.database import STATEMENT_S_MAX, close_day, roots
from ledger_streams.audit.published_roots import publish_missing
from ledger_streams.audit.roots import Root
from ledger_streams.errors import Unavailable
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

log = logging.getLogger(__name__)

NOTHING_CLOSED: Final = 3
"""Exit code of `audit close --gently` when no day was closed; click has 1 and 2."""
CLOSE: Final = (sys.executable, "-m", "ledger_streams", "audit", "close", "--gently")


async def close_and_publish(config: Settings) -> list[Root]:
    """Close all ended days, publish their roots on Kafka and return the new roots."""
    async with open_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool:
        made: list[Root] = []
        while root := await close_day(pool, config.topic(topics.WALLET_EVENTS), config.audit_key):
            made.append(root)
            await publish(config, pool)
        await publish(config, pool)
    return made


async def publish(config: Settings, pool: Pool) -> Sequence[Root]:
    """Publish roots that are missing on Kafka; return all roots."""
    closed = await roots(pool)
    for day in await publish_missing(client_options(config), config.topic(topics.AUDIT_ROOTS), closed):
        log.info("Root of day %s published on Kafka.", day)
    return closed


async def close_in_subprocess() -> bool:
    """Run `audit close` in a subprocess with this environment; return whether it closed a day.

    The subprocess has low priority and is terminated when the caller stops.  It survives a killed
    caller, which is harmless.  Raises Unavailable when it fails.
    """
    process = await asyncio.create_subprocess_exec(
        *CLOSE, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        exit_code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.shield(process.wait())
    if exit_code not in (0, NOTHING_CLOSED):
        detail = f"it ended with exit code {exit_code}; its error is in the log above"
        raise Unavailable(dependency="audit close", detail=detail)
    return exit_code == 0
