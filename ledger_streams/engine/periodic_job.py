"""Looks: what an app does now and then beside its agents, and does not end by.

A look finds out whether something is due, and does it; one of several processes finds it
due, the others find it done.  What fails is counted and tried again at the next look:
nothing of it is in a payment's way.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import ClassVar

import prometheus_client
from mode import Service

from ledger_streams import background
from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)


class PeriodicJob(Service):
    """Looks again and again, from its start to its stop; what for, a subclass says."""

    every_s: float
    failure_message: ClassVar[str]
    """What is said to be later when a look fails."""

    failures: ClassVar[prometheus_client.Counter]
    """Counts looks that failed."""

    @abstractmethod
    async def run_once(self) -> None:
        """Do what is due; raises Unavailable when it cannot be done now."""

    @Service.task
    async def _watch(self) -> None:
        await background.kept_up(type(self).__name__, self._run_forever)

    async def _run_forever(self) -> None:
        while not self.should_stop:
            try:
                await self.run_once()
            except Unavailable as error:
                self.failures.inc()
                log.warning("%s later: %s", self.failure_message, error)
            await self.sleep(self.every_s)
