"""Rebalancing: Faust's table manager, taking partitions over instead of recovering tables.

    revoked   flow stops, the commit in flight is waited for, overlays are dropped
    assigned  the committer takes the partitions over, all of them in parallel
    then      seek to the positions, resume; only now is the worker ready
A lost cycle goes the same way, without a rebalance.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.types import TP
from mode import Service

from ledger_streams.engine.state.store import TableSpec
from ledger_streams.engine.state.takeover_progress import SLOW_PHASE_S, TakeoverProgress
from ledger_streams.engine.worker import Worker
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.metrics import CONSUMER_LAG, READY, TAKEOVER_SECONDS
from ledger_streams.process_exit import exit_now

log = logging.getLogger(__name__)

RETRY_BACKOFF_S_MAX = 5.0


class TakeoverTables(TableManager):
    """The tables of this app by name (for Faust's CLI), and the service that takes partitions over."""

    app: Worker

    def __init__(self, app: Worker, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.taken_over: Membership | None = None
        """In whose name the partitions now held were taken over; None while they are not."""
        self.progress = TakeoverProgress()
        self._wanted = asyncio.Event()
        self._completed = asyncio.Event()

    def declare(self, spec: TableSpec[Any]) -> None:
        """Add a table; its spec has the name and help that `faust tables` prints."""
        self.data[spec.name] = spec

    async def on_start(self) -> None:
        """Nothing to wait for: tables are opened when partitions are assigned."""
        self._tables_finalized.set()
        self._tables_registered.set()

    async def on_stop(self) -> None:
        """Stop polling, wait for the commit in flight, release the tables."""
        self._not_ready()
        await self.app._fetcher.stop()
        await self.app.consumer.wait_cycle_over()
        await self.app.committer.close()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """From now on nothing is committed in the old name."""
        self._not_ready()
        CONSUMER_LAG.clear()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Have the assignment taken over; returns at once, so that heartbeats go on."""
        self._wanted.set()

    def take_over_again(self) -> None:
        """Stop the flow and take over what is assigned, as after a rebalance."""
        self._not_ready()
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        self._wanted.set()

    async def wait_until_recovery_completed(self) -> bool:
        """Return True when the app stopped before it was ready for the first time."""
        return bool(await self.wait_for_stopped(self._completed))

    def _not_ready(self) -> None:
        self.taken_over = None
        READY.set(0)

    @Service.task
    async def _take_over_forever(self) -> None:
        while not self.should_stop:
            await self.wait_first(self._wanted.wait(), self._stopped.wait())
            if self.should_stop:
                return
            self._wanted.clear()
            try:
                await self._take_over()
            except Exception as error:  # noqa: BLE001  # a broken invariant, or nobody foresaw it
                exit_now("partitions could not be taken over", error)

    @Service.task
    async def _watch_takeovers(self) -> None:
        while not self.should_stop:
            await self.sleep(SLOW_PHASE_S)
            self.progress.report_if_slow()

    async def _take_over(self) -> None:
        """Take over the present assignment, unless another rebalance comes in between."""
        began, backoff_s = time.monotonic(), 0.1
        membership = self.app.membership
        assigned = frozenset(TP(*tp) for tp in self.app.consumer.assignment())
        self.progress.enter("cycle")
        await self.app.consumer.wait_cycle_over()
        await self.app.consumer.confirm_membership()  # producers that are started fence those of another
        while not self._wanted.is_set() and not self.should_stop:
            try:
                positions = await self.app.committer.take_over(assigned, membership, self.progress)
                break
            except Unavailable as error:
                log.warning("takeover waits, trying again in %.1f s: %s", backoff_s, error)
                await self.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, RETRY_BACKOFF_S_MAX)
        else:
            return
        self.progress.enter("resume")
        await self.app.consumer.wait_poll_over()  # it must not go on reading from where is sought
        if membership == self.app.membership and not self._wanted.is_set():
            await self._resume(positions, membership)
            self.progress.end()
            TAKEOVER_SECONDS.observe(time.monotonic() - began)

    async def _resume(self, positions: Mapping[TP, int], membership: Membership) -> None:
        app = self.app
        await app.on_rebalance_complete.send()
        try:
            for tp, position in positions.items():
                await app.consumer.seek(tp, position)
        except IllegalStateError:
            log.info("partitions moved again before they could be read")
            return
        app.consumer.resume_partitions(set(positions))
        self.taken_over = membership
        app.flow_control.resume()
        app.consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.on_actives_ready()
        self.on_standbys_ready()
        if app.rebalancing:
            app.on_rebalance_end()
        self._completed.set()
        READY.set(1)
        log.info("ready: %d partitions of generation %d", len(positions), membership.generation)
