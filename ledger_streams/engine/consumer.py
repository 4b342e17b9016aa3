"""Consumer: Faust's aiokafka driver, polling cycles instead of events.

A poll is cut into frames, one a topic, and each frame travels through Faust to its
agent as one message.  The next poll begins when the cycle is over: committed, or
given up because the partitions are about to move.  Faust commits no offsets: only
the cycle's own commit does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from ledger_streams.engine.cycles import Cycle, Frame, Share
from ledger_streams.engine.ending import end_process
from ledger_streams.engine.group_client import group_member
from ledger_streams.engine.kip345 import StaticConsumer
from ledger_streams.engine.reading import Reading
from ledger_streams.engine.transactions import CycleLost
from ledger_streams.metrics import CONSUMER_LAG, CYCLE_SECONDS, CYCLES_LOST

if TYPE_CHECKING:
    from ledger_streams.engine.app import EngineApp

log = logging.getLogger(__name__)

POLL_S_MAX = 0.25
"""A takeover waits for the poll under way, so none is long."""
DUE_POLL_S = 0.01
"""At least so long is polled when a deadline has come: it waits for older records to be read."""


class _Listener(driver.ConsumerRebalanceListener):
    """Notes the membership in the consumer's own thread, where generation and member belong together."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._thread.app.membership = self._thread._ensure_consumer().membership
        await super().on_partitions_assigned(assigned)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer with the settings that Faust hard-codes otherwise."""

    def _create_worker_consumer(self, transport: driver.Transport) -> StaticConsumer:
        app: EngineApp = self.app
        return group_member(app.conf.id, app.engine_settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        settings = self.app.engine_settings
        self._poll_records = self._poll_records_max = settings.poll_records_max
        self._bulk_records_max = max(settings.poll_records_bulk_max, settings.poll_records_max)

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 (as in Faust)
        """Poll; a poll that comes back full doubles the next one, another brings it back."""
        records = await self.call_thread(
            self._fetch_records,
            self._ensure_consumer(),
            active_partitions,
            timeout=timeout,
            max_records=self._poll_records,
        )
        is_full = sum(map(len, records.values())) >= self._poll_records
        self._poll_records = (
            min(2 * self._poll_records, self._bulk_records_max) if is_full else self._poll_records_max
        )
        return records

    async def on_thread_stop(self) -> None:
        """Leave the group, as a static member does not by itself: the partitions move on at once."""
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's stall detector counts events and its own commits; neither exists here."""


class FrameConsumer(driver.Consumer):
    """Polls cycles and sees them through."""

    app: EngineApp
    RebalanceListener = _Listener
    _cycle_over: asyncio.Event
    _poll_over: asyncio.Event

    def __post_init__(self) -> None:
        self._poll_over = asyncio.Event()
        self._poll_over.set()
        self._cycle_over = asyncio.Event()
        self._cycle_over.set()
        self._reading = Reading(self._reader, self.app.clock)

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 (as in Faust)
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Poll once and yield the frames; returns when the cycle is over."""
        try:
            await self._between_cycles()
            if (
                not self.flow_active
            ):  # who resumes it waits for the poll to be over, so a poll may not wait for it
                await self.wait(self.can_resume_flow)
            self._poll_over.clear()
            records, _active = await self._wait_next_records(self._poll_s(timeout))
        except NoOffsetForPartitionError:
            return  # polled before the takeover has sought: positions come from there, never from a reset
        except OffsetOutOfRangeError as error:
            end_process("records were deleted before they were carried out", error)
        finally:
            self._poll_over.set()
        cycle = self._new_cycle(records)
        if cycle is None:
            return
        self._cycle_over.clear()
        commit: asyncio.Task[None] | None = None
        try:
            began = time.perf_counter()
            for frame in cycle.frames:
                yield _message(frame, self.app.consumer_generation_id)
            if await self._decided(cycle):
                CYCLE_SECONDS.labels("decide").observe(time.perf_counter() - began)
                commit = asyncio.create_task(self._commit_cycle(cycle))
                await asyncio.shield(commit)  # a worker that stops cancels its polls, not a commit in flight
        finally:
            if commit is None:
                self._cycle_over.set()

    async def _between_cycles(self) -> None:
        """Let the committer do what it does between cycles; revocation waits for it, as for a commit."""
        if self.app.ready:
            self._cycle_over.clear()
            try:
                await self.app.committer.between_cycles()
            finally:
                self._cycle_over.set()

    async def wait_cycle_over(self) -> None:
        """Return when no cycle is under way: revocation waits for the commit in flight."""
        await self._cycle_over.wait()

    async def wait_poll_over(self) -> None:
        """Return when no poll is under way: what one brings of before a takeover is dropped."""
        await self._poll_over.wait()

    async def confirm_membership(self) -> None:
        """Return when the broker has been asked whether another process is in the place of this one."""
        await self._thread.call_thread(self._reader().confirm_membership)

    def _reader(self) -> StaticConsumer:
        reader: StaticConsumer = self._thread._ensure_consumer()
        return reader

    def _poll_s(self, timeout: float) -> float:
        """Return how long to poll at most: not at all with records ahead, else until the next deadline."""
        if self.app.ready and self.app.committer.ahead.is_next(self._reading.position):
            return 0.0
        due_ms = self.app.committer.next_due_ms() if self.app.ready else None
        until_due_s = POLL_S_MAX if due_ms is None else (due_ms - self.app.clock.now_ms()) / 1000
        return min(timeout, POLL_S_MAX, max(DUE_POLL_S, until_due_s))

    def _new_cycle(self, records: dict[TP, list[Any]] | None) -> Cycle | None:
        taken, committer = self.app.tables.taken_over, self.app.committer
        if self.should_stop or not self.flow_active or taken is None or taken != self.app.membership:
            return None
        polled = {TP(*tp): polled for tp, polled in (records or {}).items()}
        for tp, ahead in committer.ahead.take(self._reading.position).items():
            polled[tp] = [*polled.get(tp, ()), *ahead]
        due = committer.due(self._reading.until_ms(polled))
        passed = self._reading.passed({**polled, **due})
        topics: dict[str, list[Share]] = {}
        for tp in {**polled, **due, **passed}:
            share = committer.share(tp, polled.get(tp, ()), due.get(tp, ()), passed.get(tp, 0))
            if share is not None:
                topics.setdefault(tp.topic, []).append(share)
        return Cycle(taken, topics) if topics else None

    async def _decided(self, cycle: Cycle) -> bool:
        """Wait until all agents have decided; False when the partitions are being revoked first."""
        decided = asyncio.ensure_future(cycle.decided.wait())
        suspended = asyncio.ensure_future(self.suspend_flow.wait())
        try:
            await asyncio.wait({decided, suspended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            decided.cancel()
            suspended.cancel()
        if cycle.failure is not None:
            end_process("an agent failed", cycle.failure)
        return cycle.decided.is_set() and not self.suspend_flow.is_set()

    async def _commit_cycle(self, cycle: Cycle) -> None:
        try:
            await self.app.committer.commit(cycle)
            self._observe_lag(cycle)
            if cycle.flood is not None:
                end_process("too many dead letters in a row", cycle.flood)
        except CycleLost as lost:
            CYCLES_LOST.inc()
            log.warning("cycle lost, taking over anew: %s", lost)
            self.app.tables.take_over_again()
        except Exception as error:  # noqa: BLE001  # nobody foresaw it: it must not be acknowledged
            end_process("a cycle could not be committed", error)
        finally:
            self._cycle_over.set()

    def _observe_lag(self, cycle: Cycle) -> None:
        for share in cycle.shares:
            topic, partition = share.tp
            behind = (self.highwater(share.tp) or 0) - share.source_next
            CONSUMER_LAG.labels(topic, partition).set(max(behind, 0))


class FrameTransport(driver.Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = FrameConsumer


def _message(frame: Frame, generation: int) -> tuple[TP, ConsumerMessage]:
    """Return the frame as a message of Faust, whose streams pass over those of another generation."""
    tp, offset = frame.reached
    message = ConsumerMessage(
        tp.topic, tp.partition, offset, 0.0, 1, (), None, frame, None, 0, 0, tp, generation_id=generation
    )
    return tp, message
