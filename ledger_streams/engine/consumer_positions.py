"""Reading: how far the consumer has come in each partition, beside the records it has brought.

Its position is past everything that polls have brought, and past markers and aborted
records, which bring nothing.  So what lies between the last record carried out and the
position of a partition without records in hand is nothing, and may be deleted unread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from faust.types import TP

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.group_client import Fetched, known_position, last_fetch

PASSED_EVERY_S: Final = 10.0
"""How often positions past mere markers are committed: in few transactions, and days before retention."""


class Reading:
    """What the positions of one consumer tell; asked between polls, in the name of those who have them."""

    def __init__(self, consumer: Callable[[], AIOKafkaConsumer], clock: BrokerClock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._passed_s = time.monotonic()

    def passed(self, in_hand: Collection[TP]) -> dict[TP, int]:
        """Return the positions of partitions without records in hand, every PASSED_EVERY_S; else nothing."""
        now_s = time.monotonic()
        if now_s - self._passed_s < PASSED_EVERY_S:
            return {}
        self._passed_s = now_s
        assigned = {TP(*tp) for tp in self._consumer().assignment()} - set(in_hand)
        known = {tp: self._known(tp) for tp in assigned}
        return {tp: position for tp, position in known.items() if position is not None}

    def position(self, tp: TP) -> int:
        """Return the position, past all that polls have brought; 0 while it is not known."""
        return self._known(tp) or 0

    def until_ms(self, polled: Mapping[TP, Sequence[Any]]) -> Callable[[TP], int]:
        """Return what says up to when a partition's records are read, all but those just polled.

        Without records it is the time, on the leader's clock, at which the last fetch was sent that left
        nothing unread.  So after a pause, a lost cycle or a seek it is an earlier time, until another
        fetch has been answered: answers that came in time are found by a worker that was away, and no
        deadline overtakes them.
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
