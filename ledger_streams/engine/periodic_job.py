"""Periodic job: work that an app repeats beside its agents, and whose failure never ends the app.

Each run checks whether something is due and does it.  Several processes run the same job: one of them finds
it due, the others find it done.  A failed run is counted, logged and repeated; payments go on meanwhile.
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
    """Runs a subclass's `run_once` every `every_s` seconds from start to stop."""

    every_s: float
    failure_message: ClassVar[str]
    """Start of the log line of a failed run: which work failed, on which object."""

    failures: ClassVar[prometheus_client.Counter]
    """Counts failed runs."""

    @abstractmethod
    async def run_once(self) -> None:
        """Do the work if it is due; raise Unavailable if a server is away."""

    @Service.task
    async def _watch(self) -> None:
        await background.kept_up(type(self).__name__, self._run_forever)

    async def _run_forever(self) -> None:
        while not self.should_stop:
            try:
                await self.run_once()
            except Unavailable as error:
                self.failures.inc()
                log.warning("%s: %s. Next attempt in %.0f s", self.failure_message, error, self.every_s)
            await self.sleep(self.every_s)
