"""The time up to which a partition has been read, as the last completed fetch proves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata
from faust.types import TP

from ledger_streams.engine.consumer_positions import ConsumerPositions
from ledger_streams.engine.consumer_thread import worker_consumer
from ledger_streams.kafka.broker_clock import LOG_APPEND_TIME, BrokerClock
from ledger_streams.kafka.group_client import Fetched, fetched_in
from ledger_streams.kafka.static_membership import StaticConsumer
from ledger_streams.settings import Settings

HOUR_MS = 3_600_000
WALL_MS = 1_700_000_000_000
READ_TO = 7
NOTHING = 0
OURS, OTHER = TP("topic", 0), TP("topic", 1)
LEADER, OTHER_LEADER = 1, 2


class Reader:
    """A consumer that has read two partitions up to READ_TO, on a machine with a correct clock."""

    def __init__(self) -> None:
        self.steady_ms = 5_000.0
        self.clock = BrokerClock(
            wall_ms=lambda: WALL_MS + self.steady_ms - 5_000, steady_ms=lambda: self.steady_ms
        )
        self.consumer: StaticConsumer = worker_consumer("group", Settings())
        self.consumer._subscription.assign_from_user([TopicPartition(*tp) for tp in (OURS, OTHER)])
        for tp in (OURS, OTHER):
            self.seek(tp, READ_TO)
        self._positions = ConsumerPositions(lambda: self.consumer, self.clock)

    def seek(self, tp: TP, position: int) -> None:
        self.consumer._subscription.subscription.assignment.state_value(tp).seek(position)

    def fetch(self, tp: TP = OURS, *, stable_end: int, took_ms: int = 5, leader: int = LEADER) -> None:
        """Send a fetch now; it is answered later."""
        sent_ms = self.steady_ms
        self.steady_ms += took_ms
        self.consumer._client.fetched[TopicPartition(*tp)] = Fetched(sent_ms, leader, stable_end)

    def acknowledge(self, leader: int, *, ahead_ms: int) -> None:
        """Have a broker, whose clock is so far ahead, acknowledge a record at once."""
        at = TopicPartition("any", 0)
        appended_ms = int(WALL_MS + self.steady_ms - 5_000) + ahead_ms
        record = RecordMetadata(*at, at, 0, appended_ms, LOG_APPEND_TIME, 0)
        self.clock.acknowledged(record, sent_ms=self.steady_ms, node_id=leader)

    def until(self, tp: TP = OURS, *, polled_at: int | None = None) -> int:
        """Return the time up to which a partition is read, in ms since WALL_MS; NOTHING if unknown."""
        polled = {} if polled_at is None else {tp: [SimpleNamespace(timestamp=WALL_MS + polled_at)]}
        until_ms = self._positions.read_up_to_ms(polled)(tp)
        return until_ms - WALL_MS if until_ms else NOTHING


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader.consumer.stop()


def test_nothing_counts_as_read_before_the_first_fetch(reader: Reader) -> None:
    assert reader.until() == NOTHING


def test_a_completed_fetch_counts_up_to_its_send_time(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO, took_ms=5)
    assert reader.until() == 100


def test_after_a_pause_only_the_last_completed_fetch_counts(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    reader.steady_ms += HOUR_MS
    assert reader.until() == 100
    reader.fetch(stable_end=READ_TO + 1)  # a record was appended meanwhile
    assert reader.until() == NOTHING
    reader.seek(OURS, READ_TO + 1)
    assert reader.until() == 100 + 5 + HOUR_MS


def test_after_a_lost_cycle_nothing_counts_until_all_is_read_again(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    reader.seek(OURS, READ_TO - 1)
    assert reader.until() == NOTHING


def test_polled_records_count_up_to_the_time_of_the_first(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    assert reader.until(polled_at=40) == 40
    assert reader.until(polled_at=HOUR_MS) == 105, "a producer's time may be anything"


def test_one_brokers_clock_does_not_move_the_timers_of_a_partition_that_another_leads(
    reader: Reader,
) -> None:
    reader.acknowledge(LEADER, ahead_ms=0)
    reader.acknowledge(OTHER_LEADER, ahead_ms=HOUR_MS)
    reader.steady_ms += 10
    for tp, leader in ((OURS, LEADER), (OTHER, OTHER_LEADER)):
        reader.fetch(tp, stable_end=READ_TO, took_ms=0, leader=leader)
    assert reader.until(OURS) == 10
    assert reader.until(OTHER) == HOUR_MS + 10
    reader.fetch(OTHER, stable_end=READ_TO, took_ms=0, leader=LEADER)
    assert reader.until(OTHER) == 10, "a partition goes by the clock of the leader that it has now"


def test_a_partition_error_in_a_fetch_response_proves_nothing() -> None:
    not_leader = 6
    answer = SimpleNamespace(
        topics=[("topic", [(0, 0, 9, 7, 0, [], b""), (1, not_leader, -1, -1, -1, [], b"")])]
    )
    assert fetched_in(answer, node_id=LEADER, sent_ms=5.0) == {
        TopicPartition("topic", 0): Fetched(5.0, LEADER, 7)
    }
