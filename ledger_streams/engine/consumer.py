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
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from ledger_streams import background
from ledger_streams.engine.batches import Cycle, Frame, Record, Share
from ledger_streams.engine.client_transport import ClientTransport
from ledger_streams.engine.consumer_positions import Reading
from ledger_streams.engine.consumer_thread import FrameConsumerThread, MembershipListener
from ledger_streams.engine.state.timers import Due
from ledger_streams.kafka.static_membership import StaticConsumer
from ledger_streams.kafka.transactions import CycleLost
from ledger_streams.metrics import CONSUMER_LAG, CYCLE_SECONDS, CYCLES_LOST
from ledger_streams.process_exit import end_process

if TYPE_CHECKING:
    from ledger_streams.engine.app import EngineApp

log = logging.getLogger(__name__)

POLL_S_MAX = 0.25
"""A takeover waits for the poll under way, so none is long."""
MARKERS_S_MAX = 0.008
MARKER_POLL_S = 0.004
DUE_POLL_S = 0.01
"""At least so long is polled when a deadline has come: it waits for older records to be read."""


class FrameConsumer(driver.Consumer):
    """Polls cycles and sees them through."""

    app: EngineApp
    RebalanceListener = MembershipListener
    _cycle_over: asyncio.Event
    _poll_over: asyncio.Event
    _ending: asyncio.Task[None]
    """Of a cycle given up; held, since nobody else does."""

    def __post_init__(self) -> None:
        self._poll_over = asyncio.Event()
        self._poll_over.set()
        self._cycle_over = asyncio.Event()
        self._cycle_over.set()
        self._reading = Reading(self._reader, self.app.clock)

    def _new_consumer_thread(self) -> FrameConsumerThread:
        return FrameConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 (as in Faust)
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Poll once and yield the frames; returns when the cycle is over."""
        try:
            await self._between_cycles()
            # last of all: who resumes the flow waits for the poll to be over, so no poll may wait for it
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
            self._poll_over.clear()
            polled = await self._poll(timeout)
        except NoOffsetForPartitionError:
            return  # polled before the takeover has sought: positions come from there, never from a reset
        except OffsetOutOfRangeError as error:
            end_process("records were deleted before they were carried out", error)
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
                for frame in cycle.frames:
                    yield _message(frame, self.app.consumer_generation_id)
                if not await self._decided(cycle):
                    break
                CYCLE_SECONDS.labels("decide").observe(time.perf_counter() - began)
                step = asyncio.create_task(self._carry_on(cycle))
                await asyncio.shield(step)  # a worker that stops cancels its polls, not a commit in flight
        finally:
            if cycle.is_over:
                self._cycle_over.set()
            else:
                self._ending = background.start(
                    "given-up-cycle", lambda: self._end_given_up(cycle, step), policy=background.Policy.END
                )

    async def _between_cycles(self) -> None:
        """Let the committer do what it does between cycles; revocation waits for it, as for a commit."""
        if self.app.ready:
            self._cycle_over.clear()
            try:
                await self.app.committer.between_cycles()
            except CycleLost as lost:
                self._take_over_anew(lost)
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

    async def _poll(self, timeout: float) -> dict[TP, list[Any]]:  # noqa: ASYNC109 (as in Faust)
        """Poll, and again for a moment while the markers of the last commit have not been read."""
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
        return self.app.ready and not is_full and self.app.committer.ahead.is_unread(self._reading.position)

    def _poll_s(self, timeout: float) -> float:
        """Return how long to poll at most: not at all with records ahead, else until the next deadline."""
        if self.app.ready and self.app.committer.ahead.is_next(self._reading.position):
            return 0.0
        due_ms = self.app.committer.next_due_ms() if self.app.ready else None
        until_due_s = POLL_S_MAX if due_ms is None else (due_ms - self.app.clock.now_ms()) / 1000
        return min(timeout, POLL_S_MAX, max(DUE_POLL_S, until_due_s))

    def _new_cycle(self, polled: dict[TP, list[Any]]) -> Cycle | None:
        taken, committer = self.app.tables.taken_over, self.app.committer
        if self.should_stop or not self.flow_active or taken is None or taken != self.app.membership:
            return None
        _extend(polled, committer.ahead.take(self._reading.position))
        due = committer.due(self._reading.until_ms(polled))
        passed = self._reading.passed({**polled, **due})
        shares = self._shares(polled, due, passed)
        return Cycle(taken, shares) if shares else None

    def _shares(
        self,
        records: Mapping[TP, Sequence[Record]],
        due: Mapping[TP, Sequence[Due]] = MappingProxyType({}),
        passed: Mapping[TP, int] = MappingProxyType({}),
    ) -> dict[str, list[Share]]:
        """Return the shares of each topic."""
        topics: dict[str, list[Share]] = {}
        for tp in {**records, **due, **passed}:
            share = self.app.committer.share(tp, records.get(tp, ()), due.get(tp, ()), passed.get(tp, 0))
            if share is not None:
                topics.setdefault(tp.topic, []).append(share)
        return topics

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

    async def _carry_on(self, cycle: Cycle) -> None:
        """Begin the cycle's next round, or end it."""
        try:
            further = await self.app.committer.carry_on(cycle, self._reading.position)
            if further:
                cycle.begin_round(self._shares(further))
                return
            cycle.is_over = True
            self._observe_lag(cycle)
            if cycle.flood is not None:
                end_process("too many dead letters in a row", cycle.flood)
        except CycleLost as lost:
            cycle.is_over = True
            self._take_over_anew(lost)
        except Exception as error:  # noqa: BLE001  # nobody foresaw it: it must not be acknowledged
            end_process("a cycle could not be committed", error)

    def _take_over_anew(self, lost: CycleLost) -> None:
        CYCLES_LOST.inc()
        log.warning("cycle lost, taking over anew: %s", lost)
        self.app.tables.take_over_again()

    async def _end_given_up(self, cycle: Cycle, step: asyncio.Task[None] | None) -> None:
        """Wait for what is in flight, and undo what was sent; nobody goes on with the cycle."""
        try:
            if step is not None:
                await asyncio.wait([step])
            if not cycle.is_over:
                await self.app.committer.give_up()
        finally:
            self._cycle_over.set()

    def _observe_lag(self, cycle: Cycle) -> None:
        for share in cycle.shares:
            topic, partition = share.tp
            behind = (self.highwater(share.tp) or 0) - share.source_next
            CONSUMER_LAG.labels(topic, partition).set(max(behind, 0))


class FrameTransport(ClientTransport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = FrameConsumer


def _extend(polled: dict[TP, list[Any]], more: Mapping[TP, Sequence[Any]]) -> None:
    for tp, records in more.items():
        polled.setdefault(tp, []).extend(records)


def _message(frame: Frame, generation: int) -> tuple[TP, ConsumerMessage]:
    """Return the frame as a message of Faust, whose streams pass over those of another generation."""
    tp, offset = frame.reached
    message = ConsumerMessage(
        tp.topic, tp.partition, offset, 0.0, 1, (), None, frame, None, 0, 0, tp, generation_id=generation
    )
    return tp, message
