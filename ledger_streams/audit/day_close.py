"""Closing a day: its root into the database, then onto Kafka, by whoever looks first after its end.

Making a root reads and hashes all rows of the day, so a process that has anything else to do has it
done by another one.
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
    """Close the days that have ended, send their roots to Kafka, and return the new ones."""
    async with open_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool:
        made: list[Root] = []
        while root := await close_day(pool, config.topic(topics.WALLET_EVENTS), config.audit_key):
            made.append(root)
            await publish(config, pool)
        await publish(config, pool)
    return made


async def publish(config: Settings, pool: Pool) -> Sequence[Root]:
    """Send to Kafka the roots that are not there; return all of them."""
    closed = await roots(pool)
    for day in await publish_missing(client_options(config), config.topic(topics.AUDIT_ROOTS), closed):
        log.info("the root of %s is on Kafka", day)
    return closed


async def close_in_subprocess() -> bool:
    """Have another process, with the settings of this one's environment, close the day; tell whether it has.

    It gives way to all else on the machine, and ends when the caller is stopped; after a caller that is
    killed it goes on, which does no harm.  Raises Unavailable.
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
