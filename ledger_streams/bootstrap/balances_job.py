"""Refreshing wallet_balances, in each projector beside its agents: one of them does it, when it is due.

The view is never older than `LEDGER_BALANCES_REFRESH_S`, a look and its refresh together.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from ledger_streams.adapters.postgres.balances import STATEMENT_S_MAX, balances_refreshed_at, refresh_balances
from ledger_streams.adapters.postgres.pool import open_pool
from ledger_streams.bootstrap.apps import projector
from ledger_streams.engine.periodic_job import Looking
from ledger_streams.metrics import (
    WALLET_BALANCES_FAILED,
    WALLET_BALANCES_REFRESHED_SECONDS,
    WALLET_BALANCES_SECONDS,
)
from ledger_streams.settings import Settings, settings

log = logging.getLogger(__name__)

LOOK_S_MAX: Final = 60.0
"""Who looks so often takes over soon from a projector that is gone; a look costs a connection."""


@projector.service
class BalancesService(Looking):
    """Looks whether the view is old enough to be refreshed."""

    every_s = min(LOOK_S_MAX, settings().balances_refresh_s or LOOK_S_MAX)
    put_off = "wallet_balances is refreshed"
    failures = WALLET_BALANCES_FAILED

    async def look(self) -> None:
        """Refresh the view when it is due."""
        if settings().balances_refresh_s:
            await refresh_when_due(settings())


async def refresh_when_due(config: Settings) -> None:
    """Refresh the view unless it is younger than the settings want, and measure both."""
    async with open_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool:
        began_s = time.monotonic()
        if await refresh_balances(pool, unless_younger_s=config.balances_refresh_s):
            took_s = time.monotonic() - began_s
            WALLET_BALANCES_SECONDS.observe(took_s)
            log.info("wallet_balances is refreshed, in %.3f s", took_s)
        WALLET_BALANCES_REFRESHED_SECONDS.set((await balances_refreshed_at(pool)).timestamp())
