"""ConsumerThread: Faust's thread around aiokafka's consumer, with a static group member in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from ledger_streams.bounded_close import close_within
from ledger_streams.engine.worker import Worker
from ledger_streams.kafka.group_client import group_member
from ledger_streams.kafka.static_membership import StaticConsumer, leave_when_stopped
from ledger_streams.kafka_settings import client_options
from ledger_streams.metrics import RECORDS_UNDER_WAY
from ledger_streams.settings import Settings

TOPICS_RETRY_S: Final = 0.2
"""First pause between two questions for missing topics; it doubles up to TOPICS_RETRY_S_MAX."""
TOPICS_RETRY_S_MAX: Final = 2.0
IN_FLIGHT_MAX: Final = 4_000
"""Own records in flight, about one a payment; at this number request topics are not polled."""


def worker_consumer(group_id: str, settings: Settings) -> StaticConsumer:
    """Return the consumer of a worker in its group, not yet started."""
    return group_member(group_id, client_options(settings), settings)


class MembershipListener(driver.ConsumerRebalanceListener):
    """Sets the app's membership in the consumer's thread, where generation and member id are consistent."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Set the membership before Faust hears of the assignment."""
        self._thread.app.membership = self._thread._ensure_consumer().membership
        await super().on_partitions_assigned(assigned)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer with this project's settings; Faust hard-codes some of them."""

    def _create_worker_consumer(self, transport: driver.Transport) -> StaticConsumer:
        app: Worker = self.app
        return worker_consumer(app.conf.id, app.engine_settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = self.app.engine_settings
        self._poll_records = self._poll_records_max = settings.poll_records_max
        self._bulk_records_max = max(settings.poll_records_bulk_max, settings.poll_records_max)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group once the broker knows all topics.

        The group's leader assigns only topics that it knows.  Partitions of a topic created a moment ago
        would stay unassigned until the leader's next metadata refresh, while all members report ready.
        """
        wanted, retry_s = frozenset(topics), TOPICS_RETRY_S
        while unknown := await self.call_thread(self._ensure_consumer().unknown_topics, wanted):
            self.app.tables.progress.wait_for_topics(unknown)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, TOPICS_RETRY_S_MAX)
        self.app.tables.progress.wait_for_topics(())
        await super().subscribe(wanted)

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 (as in Faust)
        """Poll; a full poll doubles the size of the next one, any other resets it."""
        to_be_polled = self._to_be_polled(active_partitions)
        records = await self.call_thread(
            self._fetch_records,
            self._ensure_consumer(),
            to_be_polled,
            timeout=timeout,
            max_records=self._poll_records,
        )
        if to_be_polled is not active_partitions:
            return records  # back-pressure hides the backlog, so the size stays
        is_full = sum(map(len, records.values())) >= self._poll_records
        self._poll_records = (
            min(2 * self._poll_records, self._bulk_records_max) if is_full else self._poll_records_max
        )
        return records

    def _to_be_polled(self, active: set[TP] | None) -> set[TP] | None:
        """Leave out request topics while too many own records are in flight (back-pressure)."""
        app: Worker = self.app
        if not app.ready or not (loopback := app.committer.loopback).intake:
            return active
        in_flight = loopback.in_flight
        RECORDS_UNDER_WAY.set(in_flight)
        if not active or in_flight < IN_FLIGHT_MAX:
            return active
        return {tp for tp in active if tp.topic not in loopback.intake} or active

    async def on_thread_stop(self) -> None:
        """Leave the group, so that the partitions move at once; a static member would not leave by itself."""
        if self._consumer is not None:
            leave_when_stopped(self._consumer)
        await close_within("the group's consumer", super().on_thread_stop())

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's stall detector counts its own events and commits, and there are none."""
