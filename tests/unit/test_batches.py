"""Cycles, rounds and batches: the order of decisions, the end of a round, the partition check."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP

from ledger_streams.engine.batches import Cycle, PartitionBatch, PartitionedTopic, merge_outboxes
from ledger_streams.errors import Unreadable
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.synthetic_record import SyntheticRecord

ONE, OTHER, CHANGELOG = TP("one", 0), TP("other", 0), TP("changelog", 0)


def cycle_of_two_topics() -> Cycle:
    batches = {tp.topic: [PartitionBatch(tp, (), source_next=7)] for tp in (ONE, OTHER)}
    return Cycle(Membership(1, "member"), batches)


def test_records_leave_in_the_order_of_the_decisions() -> None:
    cycle = cycle_of_two_topics()
    for topic_batch in reversed(cycle.topic_batches):  # the other topic's agent is the quicker one
        with topic_batch as batches:
            for batch in batches:
                batch.emit(CHANGELOG, (b"key", batch.tp.topic.encode(), ()))
    assert [value for _key, value, _headers in merge_outboxes(cycle.batches)[CHANGELOG]] == [b"other", b"one"]


def test_a_cycle_is_decided_when_all_its_topic_batches_are() -> None:
    cycle = cycle_of_two_topics()
    for topic_batch in cycle.topic_batches:
        assert not cycle.decided.is_set()
        with topic_batch:
            pass
    assert cycle.decided.is_set()
    assert cycle.failure is None


def test_a_round_is_decided_by_itself_and_the_cycle_has_the_batches_of_all_rounds() -> None:
    cycle = cycle_of_two_topics()
    for topic_batch in cycle.topic_batches:
        with topic_batch:
            pass
    first = list(cycle.round_batches)
    cycle.begin_round({ONE.topic: [PartitionBatch(ONE, (), source_next=8)]})
    assert not cycle.decided.is_set()
    assert list(cycle.round_batches) == []
    with cycle.topic_batches[0]:
        pass
    assert cycle.decided.is_set()
    assert [batch.source_next for batch in cycle.round_batches] == [8]
    assert list(cycle.batches) == [*first, *cycle.round_batches]


def test_a_topic_batch_of_timers_alone_ends_at_the_source_offset() -> None:
    for topic_batch in cycle_of_two_topics().topic_batches:
        assert topic_batch.end == (TP(topic_batch.topic, 0), 7)


@pytest.mark.parametrize("partitions", [1, 6, 8, 12])
def test_a_record_belongs_to_the_partition_of_kafkas_default_partitioner(partitions: int) -> None:
    destination, choose = PartitionedTopic("one", partitions), DefaultPartitioner()
    numbers = list(range(partitions))
    for key in [b"", b"\xff\x00", *(str(uuid4()).encode() for _ in range(50))]:
        own = choose(key, numbers, numbers)
        destination.check_partition(SyntheticRecord("one", own, 7, 0, key, b"{}"))
        for other in set(numbers) - {own}:
            with pytest.raises(Unreadable, match=rf"partition {other} is not the key's, {own} of") as refused:
                destination.check_partition(SyntheticRecord("one", other, 7, 0, key, b"{}"))
            assert refused.value.reason == "wrong_partition"


def test_a_record_without_a_key_passes_the_partition_check() -> None:
    PartitionedTopic("one", 8).check_partition(SyntheticRecord("one", 3, 7, 0, None, b"{}"))
