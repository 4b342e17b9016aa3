"""Consumer: Faust's aiokafka driver, which yields topic batches instead of events.

Each poll starts a cycle.  Faust delivers each topic batch to its agent as one message.  The next poll
starts when the cycle is committed, or aborted because its partitions are being revoked.  Faust commits no
offsets; only the transaction of the cycle does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from ledger_streams import background
from ledger_streams.engine.batches import Cycle, PartitionBatch, Record, TopicBatch
from ledger_streams.engine.client_transport import ClientTransport
from ledger_streams.engine.consumer_positions import ConsumerPositions
from ledger_streams.engine.consumer_thread import BatchConsumerThread, MembershipListener
from ledger_streams.engine.state.timers import Due
from ledger_streams.engine.worker import Worker
from ledger_streams.kafka.static_membership import StaticConsumer
from ledger_streams.kafka.transactions import CycleLost
from ledger_streams.metrics import CONSUMER_LAG, CYCLE_SECONDS, CYCLES_LOST
from ledger_streams.process_exit import exit_now

log = logging.getLogger(__name__)

POLL_S_MAX = 0.25
"""A takeover waits for the running poll to return."""
MARKERS_S_MAX = 0.008
"""Own records written behind unread markers cannot use the loopback queue; markers take a few ms."""
MARKER_POLL_S = 0.004
DUE_POLL_S = 0.01
"""Minimum poll while a timer is due: it fires only after all older records have been read."""


class BatchConsumer(driver.Consumer):
    """Polls, and runs each cycle until it is committed or aborted."""

    app: Worker
    RebalanceListener = MembershipListener
    _cycle_over: asyncio.Event
    _poll_over: asyncio.Event
    _ending: asyncio.Task[None]
    """Ends an aborted cycle; this reference keeps the task alive."""

    def __post_init__(self) -> None:
        self._poll_over = asyncio.Event()
        self._poll_over.set()
        self._cycle_over = asyncio.Event()
        self._cycle_over.set()
        self._positions = ConsumerPositions(self._reader, self.app.clock)

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 (as in Faust)
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Poll once and yield the topic batches, round by round; return when the cycle is over."""
        try:
            await self._between_cycles()
            # Wait before the poll counts as running: a takeover waits for it, then resumes the flow.
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
            self._poll_over.clear()
            polled = await self._poll(timeout)
        except NoOffsetForPartitionError:
            return  # The takeover has not sought yet; it sets the positions, no reset policy does.
        except OffsetOutOfRangeError as error:
            exit_now("Kafka deleted records before this worker carried them out (retention)", error)
        finally:
            self._poll_over.set()
        cycle = self._new_cycle(polled)
        if cycle is None:
            return
        self._cycle_over.clear()
        step: asyncio.Task[None] | None = None
        try:
            while not cycle.is_over:
                began = time.perf_counter()
                for topic_batch in cycle.topic_batches:
                    yield _message(topic_batch, self.app.consumer_generation_id)
                if not await self._decided(cycle):
                    break
                CYCLE_SECONDS.labels("decide").observe(time.perf_counter() - began)
                step = asyncio.create_task(self._advance(cycle))
                await asyncio.shield(step)  # Stopping cancels the poll, never a commit in flight.
        finally:
            if cycle.is_over:
                self._cycle_over.set()
            else:
                self._ending = background.start(
                    "aborted-cycle", lambda: self._end_aborted(cycle, step), policy=background.Policy.END
                )

    async def _between_cycles(self) -> None:
        """Run the committer's work between cycles; a revocation waits for it as for a commit."""
        if self.app.ready:
            self._cycle_over.clear()
            try:
                await self.app.committer.between_cycles()
            except CycleLost as lost:
                self._take_over_anew(lost)
            finally:
                self._cycle_over.set()

    async def wait_cycle_over(self) -> None:
        """Return when no cycle is in flight."""
        await self._cycle_over.wait()

    async def wait_poll_over(self) -> None:
        """Return when no poll is running; the records of a poll from before a takeover are dropped."""
        await self._poll_over.wait()

    async def confirm_membership(self) -> None:
        """Ask the broker whether another process has taken this member's place; exit if it has."""
        await self._thread.call_thread(self._reader().confirm_membership)

    def _reader(self) -> StaticConsumer:
        reader: StaticConsumer = self._thread._ensure_consumer()
        return reader

    async def _poll(self, timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 (as in Faust)
        """Poll, then poll again for at most MARKERS_S_MAX while markers of own records are unread."""
        polled: dict[TP, list[Any]] = {}
        await self._poll_into(polled, self._poll_s(timeout))
        until_s = time.monotonic() + MARKERS_S_MAX
        while self.flow_active and self._waits_for_markers(polled) and time.monotonic() < until_s:
            await self._poll_into(polled, MARKER_POLL_S)
        return polled

    async def _poll_into(self, polled: dict[TP, list[Any]], seconds: float) -> None:
        records, _active = await self._wait_next_records(seconds)
        _extend(polled, {TP(*tp): more for tp, more in (records or {}).items()})

    def _waits_for_markers(self, polled: Mapping[TP, Sequence[Any]]) -> bool:
        is_full = sum(map(len, polled.values())) >= self.app.engine_settings.poll_records_max
        return (
            self.app.ready and not is_full and self.app.committer.loopback.is_unread(self._positions.position)
        )

    def _poll_s(self, timeout: float) -> float:
        """Return the longest poll: none while the loopback queue has records, else until the next timer."""
        if self.app.ready and self.app.committer.loopback.has_ready(self._positions.position):
            return 0.0
        due_ms = self.app.committer.next_due_ms() if self.app.ready else None
        until_due_s = POLL_S_MAX if due_ms is None else (due_ms - self.app.clock.now_ms()) / 1000
        return min(timeout, POLL_S_MAX, max(DUE_POLL_S, until_due_s))

    def _new_cycle(self, polled: dict[TP, list[Any]]) -> Cycle | None:
        taken, committer = self.app.tables.taken_over, self.app.committer
        if self.should_stop or not self.flow_active or taken is None or taken != self.app.membership:
            return None
        _extend(polled, committer.loopback.pop_ready(self._positions.position))
        due = committer.due(self._positions.read_up_to_ms(polled))
        past_markers = self._positions.past_markers({**polled, **due})
        batches = self._batches(polled, due, past_markers)
        return Cycle(taken, batches) if batches else None

    def _batches(
        self,
        records: Mapping[TP, Sequence[Record]],
        due: Mapping[TP, Sequence[Due]] = MappingProxyType({}),
        past_markers: Mapping[TP, int] = MappingProxyType({}),
    ) -> dict[str, list[PartitionBatch]]:
        """Return the partition batches of each topic."""
        topics: dict[str, list[PartitionBatch]] = {}
        for tp in {**records, **due, **past_markers}:
            batch = self.app.committer.new_batch(
                tp, records.get(tp, ()), due.get(tp, ()), past_markers.get(tp, 0)
            )
            if batch is not None:
                topics.setdefault(tp.topic, []).append(batch)
        return topics

    async def _decided(self, cycle: Cycle) -> bool:
        """Wait until all agents have decided; return False if a revocation comes first."""
        decided = asyncio.ensure_future(cycle.decided.wait())
        suspended = asyncio.ensure_future(self.suspend_flow.wait())
        try:
            await asyncio.wait({decided, suspended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            decided.cancel()
            suspended.cancel()
        if cycle.failure is not None:
            exit_now("an agent failed", cycle.failure)
        return cycle.decided.is_set() and not self.suspend_flow.is_set()

    async def _advance(self, cycle: Cycle) -> None:
        """Start the next round of the cycle, or commit it."""
        try:
            further = await self.app.committer.advance(cycle, self._positions.position)
            if further:
                cycle.begin_round(self._batches(further))
                return
            cycle.is_over = True
            self._observe_lag(cycle)
            if cycle.dlq_limit_error is not None:
                exit_now("too many dead letters in a row", cycle.dlq_limit_error)
        except CycleLost as lost:
            cycle.is_over = True
            self._take_over_anew(lost)
        except Exception as error:  # noqa: BLE001  # unknown state: nothing may be acknowledged
            exit_now("the commit of a cycle failed", error)

    def _take_over_anew(self, lost: CycleLost) -> None:
        CYCLES_LOST.inc()
        log.warning("cycle lost, taking over anew: %s. Its records will be carried out again", lost)
        self.app.tables.take_over_again()

    async def _end_aborted(self, cycle: Cycle, step: asyncio.Task[None] | None) -> None:
        """Wait for the step in flight, then abort the transaction of the cycle."""
        try:
            if step is not None:
                await asyncio.wait([step])
            if not cycle.is_over:
                await self.app.committer.abort()
        finally:
            self._cycle_over.set()

    def _observe_lag(self, cycle: Cycle) -> None:
        for batch in cycle.batches:
            topic, partition = batch.tp
            behind = (self.highwater(batch.tp) or 0) - batch.source_next
            CONSUMER_LAG.labels(topic, partition).set(max(behind, 0))


class BatchTransport(ClientTransport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer


def _extend(polled: dict[TP, list[Any]], more: Mapping[TP, Sequence[Any]]) -> None:
    for tp, records in more.items():
        polled.setdefault(tp, []).extend(records)


def _message(topic_batch: TopicBatch, generation: int) -> tuple[TP, ConsumerMessage]:
    """Return the batch as a message of Faust; its streams drop messages of another generation."""
    tp, offset = topic_batch.end
    message = ConsumerMessage(
        tp.topic,
        tp.partition,
        offset,
        0.0,
        1,
        (),
        None,
        topic_batch,
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )
    return tp, message
