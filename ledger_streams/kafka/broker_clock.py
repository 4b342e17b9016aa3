"""Broker clocks: bounds of the time of each broker, since the ledger's time is the leader's append time.

Deadlines are computed from append times; a machine with a wrong clock would fire them too early or too late.
The machine's clock is therefore used only within bounds: an acknowledged record was appended between its
send and its acknowledgement.  The steady clock bridges the time between two acknowledgements.  Each broker
has bounds of its own.  A broker with a wrong clock shifts only the deadlines of the partitions that it
leads; after a change of leader a partition follows the new leader's clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from ledger_streams.metrics import CLOCK_AHEAD_SECONDS

log = logging.getLogger(__name__)

SAID_FROM_MS: Final = 1_000
"""Machines that keep time by NTP differ by less."""
LOG_APPEND_TIME: Final = 1
"""The timestamp of a topic's records is the broker's."""
ANY_BROKER: Final = -1
"""Where it is not known which broker has acknowledged a record."""
MS: Final = 1_000


def _wall_ms() -> float:
    return time.time() * MS


def steady_ms() -> float:
    """Return the time of a clock that nobody sets, in ms from any beginning."""
    return time.monotonic() * MS


class Bounds(NamedTuple):
    """Bounds of a broker's clock less the steady one."""

    least_ms: float
    most_ms: float

    def nearest(self, difference_ms: float) -> float:
        """Return this difference if it is possible, else the least that is: so nothing is too early."""
        return difference_ms if self.least_ms <= difference_ms <= self.most_ms else self.least_ms

    def narrowed(self, said: Bounds) -> Bounds:
        """Return these bounds with another answer of the broker; after a contradiction the new ones."""
        least_ms, most_ms = max(said.least_ms, self.least_ms), min(said.most_ms, self.most_ms)
        return Bounds(least_ms, most_ms) if least_ms <= most_ms else said  # else one of the clocks was set


class BrokerClock:
    """This machine's clock, kept within what the brokers have said; all times in ms since 1970.

    `wall_ms` may be set to anything at any moment; `steady_ms` goes on evenly, from any beginning.
    """

    def __init__(
        self, *, wall_ms: Callable[[], float] = _wall_ms, steady_ms: Callable[[], float] = steady_ms
    ) -> None:
        self._wall_ms = wall_ms
        self.steady_ms = steady_ms
        self._bounds: dict[int | None, Bounds] = {}
        """Of each broker that has acknowledged something, by its id."""
        self._is_said = False

    def now_ms(self) -> int:
        """Return the brokers' time, that of the last of them."""
        return self.at_ms(self.steady_ms())

    def now(self) -> datetime:
        """Return the brokers' time, in UTC."""
        return datetime.fromtimestamp(self.now_ms() / MS, UTC)

    def at_ms(self, steady_ms: float, node_id: int | None = None) -> int:
        """Return a broker's time at a moment of the steady clock, rather too early than too late.

        Without a broker it is the earliest of the times of those that have acknowledged something.  Of one
        that has not, the clock is not known: it is this machine's then, if that is not even later.
        """
        own_ms = self._own_ms()
        if node_id in self._bounds:
            return int(steady_ms + self._bounds[node_id].nearest(own_ms))
        least_ms = min((bounds.nearest(own_ms) for bounds in self._bounds.values()), default=own_ms)
        return int(steady_ms + (least_ms if node_id is None else min(own_ms, least_ms)))

    def acknowledged(self, record: RecordMetadata, *, sent_ms: float, node_id: int = ANY_BROKER) -> None:
        """Take in an acknowledgement that came just now, of a record sent at a time of `steady_ms`."""
        if record.timestamp_type != LOG_APPEND_TIME:
            return
        appended_ms = record.timestamp
        said = Bounds(appended_ms - self.steady_ms(), appended_ms + 1 - sent_ms)
        before = self._bounds.get(node_id)
        self._bounds[node_id] = said if before is None else before.narrowed(said)
        self._tell()

    def listen(self, producer: AIOKafkaProducer) -> None:
        """Take in what the producer's batches are acknowledged with, each by the broker that it was sent to.

        A batch that was sent more than once says nothing: an earlier leader may have stamped it.
        """
        send = producer._sender._send_produce_req

        async def heard(node_id: int, batches: Mapping[TopicPartition, Any]) -> None:
            sent_ms = self.steady_ms()
            await send(node_id, batches)
            for batch in batches.values():
                answered = batch.future.done() and not batch.future.cancelled()
                if answered and batch.future.exception() is None and batch.retry_count == 1:
                    self.acknowledged(batch.future.result(), sent_ms=sent_ms, node_id=node_id)

        producer._sender._send_produce_req = heard

    def _own_ms(self) -> float:
        """Return this machine's clock less the steady one."""
        return self._wall_ms() - self.steady_ms()

    def _tell(self) -> None:
        own_ms = self._own_ms()
        ahead_ms = max((own_ms - each.nearest(own_ms) for each in self._bounds.values()), key=abs)
        CLOCK_AHEAD_SECONDS.set(ahead_ms / MS)
        is_wrong = abs(ahead_ms) > SAID_FROM_MS
        if is_wrong and not self._is_said:
            log.warning("this machine's clock is %.1f s ahead of the broker's, which counts", ahead_ms / MS)
        self._is_said = is_wrong
