"""Up to when a partition has been read, for its deadlines: what the last completed fetch can prove."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata
from faust.types import TP

from ledger_streams.engine.consumer_positions import Reading
from ledger_streams.kafka.broker_clock import LOG_APPEND_TIME, BrokerClock
from ledger_streams.kafka.group_client import Fetched, fetched_in, group_member
from ledger_streams.kafka.static_membership import StaticConsumer
from ledger_streams.settings import Settings

HOUR_MS = 3_600_000
WALL_MS = 1_700_000_000_000
READ_TO = 7
NOTHING = 0
OURS, OTHER = TP("topic", 0), TP("topic", 1)
LEADER, OTHER_LEADER = 1, 2


class Reader:
    """A consumer that has read two partitions up to READ_TO, on a machine whose wall clock is right."""

    def __init__(self) -> None:
        self.steady_ms = 5_000.0
        self.clock = BrokerClock(
            wall_ms=lambda: WALL_MS + self.steady_ms - 5_000, steady_ms=lambda: self.steady_ms
        )
        self.consumer: StaticConsumer = group_member("group", "127.0.0.1:9", Settings())
        self.consumer._subscription.assign_from_user([TopicPartition(*tp) for tp in (OURS, OTHER)])
        for tp in (OURS, OTHER):
            self.seek(tp, READ_TO)
        self._reading = Reading(lambda: self.consumer, self.clock)

    def seek(self, tp: TP, position: int) -> None:
        self.consumer._subscription.subscription.assignment.state_value(tp).seek(position)

    def fetch(self, tp: TP = OURS, *, stable_end: int, took_ms: int = 5, leader: int = LEADER) -> None:
        """A fetch that is sent now and answered later."""
        sent_ms = self.steady_ms
        self.steady_ms += took_ms
        self.consumer._client.fetched[TopicPartition(*tp)] = Fetched(sent_ms, leader, stable_end)

    def acknowledge(self, leader: int, *, ahead_ms: int) -> None:
        """A broker, whose clock is so far ahead, acknowledges a record at once."""
        at = TopicPartition("any", 0)
        appended_ms = int(WALL_MS + self.steady_ms - 5_000) + ahead_ms
        record = RecordMetadata(*at, at, 0, appended_ms, LOG_APPEND_TIME, 0)
        self.clock.acknowledged(record, sent_ms=self.steady_ms, node_id=leader)

    def until(self, tp: TP = OURS, *, polled_at: int | None = None) -> int:
        """Return up to when a partition is read, in ms since WALL_MS; NOTHING when that is not known."""
        polled = {} if polled_at is None else {tp: [SimpleNamespace(timestamp=WALL_MS + polled_at)]}
        until_ms = self._reading.until_ms(polled)(tp)
        return until_ms - WALL_MS if until_ms else NOTHING


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    reader = Reader()
    yield reader
    await reader.consumer.stop()


def test_nothing_is_granted_before_the_first_fetch(reader: Reader) -> None:
    assert reader.until() == NOTHING


def test_a_fetch_that_left_nothing_unread_grants_up_to_when_it_was_sent(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO, took_ms=5)
    assert reader.until() == 100


def test_after_a_pause_no_more_is_granted_than_the_last_completed_fetch_can_prove(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    reader.steady_ms += HOUR_MS
    assert reader.until() == 100
    reader.fetch(stable_end=READ_TO + 1)  # a record was appended meanwhile
    assert reader.until() == NOTHING
    reader.seek(OURS, READ_TO + 1)
    assert reader.until() == 100 + 5 + HOUR_MS


def test_after_a_lost_cycle_nothing_is_granted_before_all_is_read_again(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    reader.seek(OURS, READ_TO - 1)
    assert reader.until() == NOTHING


def test_records_just_polled_grant_up_to_the_first_of_them(reader: Reader) -> None:
    reader.steady_ms += 100
    reader.fetch(stable_end=READ_TO)
    assert reader.until(polled_at=40) == 40
    assert reader.until(polled_at=HOUR_MS) == 105, "a producer's time may be anything"


def test_one_brokers_clock_does_not_move_the_deadlines_of_a_partition_that_another_leads(
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


def test_an_answer_proves_nothing_of_the_partitions_that_the_broker_refuses() -> None:
    not_leader = 6
    answer = SimpleNamespace(
        topics=[("topic", [(0, 0, 9, 7, 0, [], b""), (1, not_leader, -1, -1, -1, [], b"")])]
    )
    assert fetched_in(answer, node_id=LEADER, sent_ms=5.0) == {
        TopicPartition("topic", 0): Fetched(5.0, LEADER, 7)
    }
