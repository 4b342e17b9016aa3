"""balances_job: refreshes the view wallet_balances when it is due, in one of the projectors.

The view's age never exceeds `LEDGER_BALANCES_REFRESH_S` plus one check and one refresh.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from ledger_streams.adapters.postgres.balances import STATEMENT_S_MAX, balances_refreshed_at, refresh_balances
from ledger_streams.adapters.postgres.pool import open_pool
from ledger_streams.engine.periodic_job import PeriodicJob
from ledger_streams.metrics import (
    WALLET_BALANCES_FAILED,
    WALLET_BALANCES_REFRESHED_SECONDS,
    WALLET_BALANCES_SECONDS,
)
from ledger_streams.settings import Settings

log = logging.getLogger(__name__)

CHECK_S_MAX: Final = 60.0
"""So soon another projector takes over from one that is gone; each check costs a connection."""


class BalancesJob(PeriodicJob):
    """Checks whether the view is old enough to be refreshed."""

    failure_message = "Refreshing wallet_balances failed"
    failures = WALLET_BALANCES_FAILED

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.every_s = min(CHECK_S_MAX, settings.balances_refresh_s or CHECK_S_MAX)
        super().__init__()

    async def run_once(self) -> None:
        """Refresh the view when it is due."""
        if self._settings.balances_refresh_s:
            await refresh_when_due(self._settings)


async def refresh_when_due(settings: Settings) -> None:
    """Refresh the view unless it is younger than LEDGER_BALANCES_REFRESH_S; set the metrics."""
    async with open_pool(settings.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool:
        began_s = time.monotonic()
        if await refresh_balances(pool, unless_younger_s=settings.balances_refresh_s):
            took_s = time.monotonic() - began_s
            WALLET_BALANCES_SECONDS.observe(took_s)
            log.info("Refreshed wallet_balances in %.3f s.", took_s)
        WALLET_BALANCES_REFRESHED_SECONDS.set((await balances_refreshed_at(pool)).timestamp())
