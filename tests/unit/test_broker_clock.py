"""The broker's clock on a machine whose own may be wrong, set, or right."""

from __future__ import annotations

import pytest
from aiokafka.structs import RecordMetadata, TopicPartition

from ledger_streams.kafka.broker_clock import LOG_APPEND_TIME, BrokerClock

HOUR_MS = 3_600_000
BEGAN_MS = 1_700_000_000_000


class Machine:
    """A machine, its wall clock, and the broker's clock, which is right."""

    def __init__(self, *, wrong_ms: int = 0) -> None:
        self.wrong_ms = wrong_ms
        self.passed_ms = 0
        self.clock = BrokerClock(
            wall_ms=lambda: self.broker_ms + self.wrong_ms, steady_ms=lambda: 5_000.0 + self.passed_ms
        )

    @property
    def broker_ms(self) -> int:
        return BEGAN_MS + self.passed_ms

    def append(self, *, there_ms: int = 3, back_ms: int = 2, kind: int = LOG_APPEND_TIME) -> None:
        """Send a record, which takes its time to the broker, as its acknowledgement does back."""
        sent_ms = self.clock.steady_ms()
        self.passed_ms += there_ms
        at = TopicPartition("any", 0)
        record = RecordMetadata(*at, at, 0, self.broker_ms if kind == LOG_APPEND_TIME else -1, kind, 0)
        self.passed_ms += back_ms
        self.clock.acknowledged(record, sent_ms=sent_ms)

    @property
    def off_ms(self) -> int:
        return self.clock.now_ms() - self.broker_ms


def test_the_machine_s_clock_is_trusted_before_the_first_acknowledgement() -> None:
    assert Machine(wrong_ms=HOUR_MS).off_ms == HOUR_MS


@pytest.mark.parametrize("wrong_ms", [-HOUR_MS, -20, 0, 20, HOUR_MS])
def test_a_clock_is_late_by_no_more_than_a_round_trip_after_an_acknowledgement(wrong_ms: int) -> None:
    machine = Machine(wrong_ms=wrong_ms)
    machine.append(there_ms=3, back_ms=2)
    assert -5 <= machine.off_ms <= 0
    machine.passed_ms += HOUR_MS
    assert -5 <= machine.off_ms <= 0


def test_a_slow_acknowledgement_does_not_widen_the_bound() -> None:
    machine = Machine(wrong_ms=HOUR_MS)
    machine.append()
    machine.append(there_ms=10_000, back_ms=20_000)
    assert -5 <= machine.off_ms <= 0


def test_a_change_of_the_machine_s_clock_changes_nothing() -> None:
    machine = Machine()
    machine.append()
    machine.wrong_ms = -HOUR_MS
    assert -5 <= machine.off_ms <= 0


def test_a_broker_whose_clock_was_set_is_followed() -> None:
    machine = Machine()
    machine.append()
    machine.passed_ms += 10
    before_ms = machine.broker_ms
    steady_ms = machine.clock.steady_ms()
    at = TopicPartition("any", 0)
    machine.clock.acknowledged(
        RecordMetadata(*at, at, 0, before_ms - HOUR_MS, LOG_APPEND_TIME, 0), sent_ms=steady_ms
    )
    assert abs(machine.off_ms + HOUR_MS) <= 1


ONE, OTHER = 1, 2


def acknowledged(clock: BrokerClock, node_id: int, appended_ms: int) -> None:
    """A broker acknowledges a record at once."""
    at = TopicPartition("any", 0)
    record = RecordMetadata(*at, at, 0, appended_ms, LOG_APPEND_TIME, 0)
    clock.acknowledged(record, sent_ms=clock.steady_ms(), node_id=node_id)


@pytest.mark.parametrize("wrong_ms", [-HOUR_MS, HOUR_MS])
def test_a_broker_whose_clock_is_wrong_moves_no_other_brokers_clock(wrong_ms: int) -> None:
    machine = Machine()
    clock = machine.clock
    for node_id, appended_ms in ((ONE, BEGAN_MS), (OTHER, BEGAN_MS + wrong_ms), (ONE, BEGAN_MS)):
        acknowledged(clock, node_id, appended_ms)
    machine.passed_ms += 10
    now_ms = clock.steady_ms()
    assert clock.at_ms(now_ms, ONE) == machine.broker_ms
    assert clock.at_ms(now_ms, OTHER) == machine.broker_ms + wrong_ms


@pytest.mark.parametrize("machine_wrong_ms", [-HOUR_MS, 0, HOUR_MS])
@pytest.mark.parametrize("broker_wrong_ms", [-HOUR_MS, 0, HOUR_MS])
def test_an_unknown_broker_has_the_earliest_known_clock(machine_wrong_ms: int, broker_wrong_ms: int) -> None:
    """So neither this machine's clock nor another broker's makes its deadlines come too early."""
    machine = Machine(wrong_ms=machine_wrong_ms)
    acknowledged(machine.clock, ONE, BEGAN_MS + broker_wrong_ms)
    off_ms = machine.clock.at_ms(machine.clock.steady_ms(), OTHER) - machine.broker_ms
    assert off_ms == min(machine_wrong_ms, broker_wrong_ms)


def test_a_timestamp_not_set_by_the_broker_is_ignored() -> None:
    machine = Machine(wrong_ms=HOUR_MS)
    machine.append(kind=0)
    assert machine.off_ms == HOUR_MS
