"""Faust's table manager: takes partitions over instead of recovering tables.

    revoked   stop the flow, wait for the commit in flight, drop uncommitted changes
    assigned  the committer takes over all partitions in parallel
    then      seek to the source offsets and resume; from here on the worker is ready
A lost cycle takes the same path without a rebalance.
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
"""Longest pause between two attempts of a takeover; the first is 0.1 s."""


class TakeoverTables(TableManager):
    """The tables of this app by name, for Faust's CLI, and the service that takes partitions over."""

    app: Worker

    def __init__(self, app: Worker, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.taken_over: Membership | None = None
        """The membership of the completed takeover; None while partitions are not taken over."""
        self.progress = TakeoverProgress()
        self._wanted = asyncio.Event()
        self._completed = asyncio.Event()

    def declare(self, spec: TableSpec[Any]) -> None:
        """Add a table; `faust tables` prints the name and help of its spec."""
        self.data[spec.name] = spec

    async def on_start(self) -> None:
        """Mark the tables as registered; the first takeover opens them."""
        self._tables_finalized.set()
        self._tables_registered.set()

    async def on_stop(self) -> None:
        """Stop polling, wait for the commit in flight, close the tables."""
        self._not_ready()
        await self.app._fetcher.stop()
        await self.app.consumer.wait_cycle_over()
        await self.app.committer.close()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Mark the worker as not ready; no cycle starts under the old membership."""
        self._not_ready()
        CONSUMER_LAG.clear()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Start a takeover in the background; returning at once keeps the heartbeats going."""
        self._wanted.set()

    def take_over_again(self) -> None:
        """Stop the flow and take over the assigned partitions, as after a rebalance."""
        self._not_ready()
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        self._wanted.set()

    async def wait_until_recovery_completed(self) -> bool:
        """Wait for the first takeover; return True if the app stops before it is complete."""
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
            except Exception as error:  # noqa: BLE001  # a broken invariant, or an unknown error
                exit_now("the takeover of partitions failed", error)

    @Service.task
    async def _watch_takeovers(self) -> None:
        while not self.should_stop:
            await self.sleep(SLOW_PHASE_S)
            self.progress.report_if_slow()

    async def _take_over(self) -> None:
        """Take over the current assignment; return early if another rebalance begins."""
        began, backoff_s = time.monotonic(), 0.1
        membership = self.app.membership
        assigned = frozenset(TP(*tp) for tp in self.app.consumer.assignment())
        self.progress.enter("cycle")
        await self.app.consumer.wait_cycle_over()
        await self.app.consumer.confirm_membership()  # before new producers fence those of another process
        while not self._wanted.is_set() and not self.should_stop:
            try:
                positions = await self.app.committer.take_over(assigned, membership, self.progress)
                break
            except Unavailable as error:
                log.warning("takeover attempt failed, retrying in %.1f s: %s", backoff_s, error)
                await self.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, RETRY_BACKOFF_S_MAX)
        else:
            return
        self.progress.enter("resume")
        await self.app.consumer.wait_poll_over()  # a running poll would move the positions after the seek
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
            log.info("partitions were revoked before the seek; the next takeover follows")
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
