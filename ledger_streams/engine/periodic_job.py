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


class Looking(Service):
    """Looks again and again, from its start to its stop; what for, a subclass says."""

    every_s: ClassVar[float]
    put_off: ClassVar[str]
    """What is said to be later when a look fails."""

    failures: ClassVar[prometheus_client.Counter]
    """Counts looks that failed."""

    @abstractmethod
    async def look(self) -> None:
        """Do what is due; raises Unavailable when it cannot be done now."""

    @Service.task
    async def _watch(self) -> None:
        await background.kept_up(type(self).__name__, self._look_for_ever)

    async def _look_for_ever(self) -> None:
        while not self.should_stop:
            try:
                await self.look()
            except Unavailable as error:
                self.failures.inc()
                log.warning("%s later: %s", self.put_off, error)
            await self.sleep(self.every_s)
