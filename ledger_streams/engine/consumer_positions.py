"""Consumer positions: how far the consumer has read each partition.

A position is past all polled records, and also past transaction markers and aborted records, which no poll
returns.  If a partition has no records in hand, its position may be committed as its source offset: between
the last record and the position there is nothing to carry out, and retention may delete it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from faust.types import TP

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.group_client import Fetched, known_position, last_fetch

PAST_MARKERS_EVERY_S: Final = 10.0
"""Interval of commits for markers alone: few transactions, and days before retention deletes them."""


class ConsumerPositions:
    """The positions of one consumer; valid between polls, for the partitions assigned then."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer], clock: BrokerClock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._reported_s = time.monotonic()

    def past_markers(self, in_hand: Collection[TP]) -> dict[TP, int]:
        """Return the positions of partitions without records in hand.

        Returns something once in PAST_MARKERS_EVERY_S; in between the result is empty.
        """
        now_s = time.monotonic()
        if now_s - self._reported_s < PAST_MARKERS_EVERY_S:
            return {}
        self._reported_s = now_s
        assigned = {TP(*tp) for tp in self._consumer().assignment()} - set(in_hand)
        known = {tp: self._known(tp) for tp in assigned}
        return {tp: position for tp, position in known.items() if position is not None}

    def position(self, tp: TP) -> int:
        """Return the position of a partition; 0 while it is unknown."""
        return self._known(tp) or 0

    def read_up_to_ms(self, polled: Mapping[TP, Sequence[Any]]) -> Callable[[TP], int]:
        """Return a function from a partition to the time up to which all its records have been read.

        The time is in ms since 1970, on the clock of the partition's leader; 0 means unknown.  With polled
        records it is the time of the first of them.  Without, it is the send time of the last fetch that
        left nothing unread.  After a pause, a lost cycle or a seek it stays in the past until the next
        fetch is answered, so no timer fires before a record that arrived in time.
        """
        steady_ms = self._clock.steady_ms()

        def until_ms(tp: TP) -> int:
            fetched = self._fetched(tp)
            if tp in polled:
                node_id = None if fetched is None else fetched.node_id
                return min(self._clock.at_ms(steady_ms, node_id), int(polled[tp][0].timestamp))
            if fetched is None or self.position(tp) < fetched.stable_end:
                return 0
            return self._clock.at_ms(fetched.sent_ms, fetched.node_id)

        return until_ms

    def _fetched(self, tp: TP) -> Fetched | None:
        return last_fetch(self._consumer(), tp)

    def _known(self, tp: TP) -> int | None:
        return known_position(self._consumer(), tp)
