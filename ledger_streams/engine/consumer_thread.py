"""ConsumerThread: Faust's thread around aiokafka's consumer, with the engine's consumer in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.group_client import group_member
from ledger_streams.kafka.static_membership import StaticConsumer, leave_when_stopped
from ledger_streams.kafka_settings import client_options
from ledger_streams.metrics import RECORDS_UNDER_WAY

if TYPE_CHECKING:
    from ledger_streams.engine.app import EngineApp


TOPICS_RETRY_S: Final = 0.2
TOPICS_RETRY_S_MAX: Final = 2.0
UNDER_WAY_MAX: Final = 4_000
"""Records that this worker has written for itself, one a payment; beyond it nothing new is begun."""


class MembershipListener(driver.ConsumerRebalanceListener):
    """Notes the membership in the consumer's own thread, where generation and member belong together."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Note in whose name they are assigned, before anybody is told."""
        self._thread.app.membership = self._thread._ensure_consumer().membership
        await super().on_partitions_assigned(assigned)


class FrameConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer with the settings that Faust hard-codes otherwise."""

    def _create_worker_consumer(self, transport: driver.Transport) -> StaticConsumer:
        app: EngineApp = self.app
        return group_member(app.conf.id, client_options(app.engine_settings), app.engine_settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = self.app.engine_settings
        self._poll_records = self._poll_records_max = settings.poll_records_max
        self._bulk_records_max = max(settings.poll_records_bulk_max, settings.poll_records_max)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group once the broker knows all topics: its leader shares out none but those it knows.

        A topic it does not know, as one made a moment ago, would belong to nobody until the leader asks
        again, much later, and all would be ready.
        """
        wanted, retry_s = frozenset(topics), TOPICS_RETRY_S
        while unknown := await self.call_thread(self._ensure_consumer().unknown_of, wanted):
            self.app.tables.phases.wait_for_topics(unknown)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, TOPICS_RETRY_S_MAX)
        self.app.tables.phases.wait_for_topics(())
        await super().subscribe(wanted)

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 (as in Faust)
        """Poll; a poll that comes back full doubles the next one, another brings it back."""
        to_be_polled = self._to_be_polled(active_partitions)
        records = await self.call_thread(
            self._fetch_records,
            self._ensure_consumer(),
            to_be_polled,
            timeout=timeout,
            max_records=self._poll_records,
        )
        if to_be_polled is not active_partitions:
            return records  # there is more: the next poll is as large as this one
        is_full = sum(map(len, records.values())) >= self._poll_records
        self._poll_records = (
            min(2 * self._poll_records, self._bulk_records_max) if is_full else self._poll_records_max
        )
        return records

    def _to_be_polled(self, active: set[TP] | None) -> set[TP] | None:
        """Leave what is new where it is while enough is under way: what has begun ends first."""
        app: EngineApp = self.app
        if not app.ready or not (ahead := app.committer.ahead).intake:
            return active
        under_way = ahead.under_way
        RECORDS_UNDER_WAY.set(under_way)
        if not active or under_way < UNDER_WAY_MAX:
            return active
        return {tp for tp in active if tp.topic not in ahead.intake} or active

    async def on_thread_stop(self) -> None:
        """Leave the group, as a static member does not by itself: the partitions move on at once."""
        if self._consumer is not None:
            leave_when_stopped(self._consumer)
        await close_within("the group's consumer", super().on_thread_stop())

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's stall detector counts events and its own commits; neither exists here."""
