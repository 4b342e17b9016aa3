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

from ledger_streams.adapters.broker_clock import BrokerClock

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
        states = {tp: self._state(tp) for tp in assigned}
        return {tp: state.position for tp, state in states.items() if state and state.has_valid_position}

    def position(self, tp: TP) -> int:
        """Return the position, past all that polls have brought; 0 while it is not known."""
        state = self._state(tp)
        return state.position if state is not None and state.has_valid_position else 0

    def until_ms(self, polled: Mapping[TP, Sequence[Any]]) -> Callable[[TP], int]:
        """Return what says up to when a partition's records are read, all but those just polled.

        A worker that was away finds answers that came in time: no deadline overtakes them.
        """
        now_ms = self._clock.now_ms()

        def until_ms(tp: TP) -> int:
            if tp in polled:
                return min(now_ms, int(polled[tp][0].timestamp))
            return now_ms if self._has_read_all(tp) else 0

        return until_ms

    def _has_read_all(self, tp: TP) -> bool:
        """Whether nothing was left in the partition, for a reader of committed records, at the last fetch."""
        state = self._state(tp)
        is_known = state is not None and state.lso is not None and state.has_valid_position
        return bool(is_known and state.position >= state.lso)

    def _state(self, tp: TP) -> Any:
        return self._consumer()._subscription.subscription.assignment.state_value(tp)
