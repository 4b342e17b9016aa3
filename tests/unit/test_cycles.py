from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP

from ledger_streams.engine.batches import Cycle, Destination, Share, merged
from ledger_streams.errors import Unreadable
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.kafka.synthetic_record import SyntheticRecord

ONE, OTHER, CHANGELOG = TP("one", 0), TP("other", 0), TP("changelog", 0)


def cycle_of_two_topics() -> Cycle:
    shares = {tp.topic: [Share(tp, (), source_next=7)] for tp in (ONE, OTHER)}
    return Cycle(Membership(1, "member"), shares)


def test_records_leave_in_the_order_in_which_the_frames_were_decided() -> None:
    cycle = cycle_of_two_topics()
    for frame in reversed(cycle.frames):  # the other topic's agent is the quicker one
        with frame as shares:
            for share in shares:
                share.emit(CHANGELOG, (b"key", share.tp.topic.encode(), ()))
    assert [value for _key, value, _headers in merged(cycle.shares)[CHANGELOG]] == [b"other", b"one"]


def test_a_cycle_is_decided_when_all_its_frames_are() -> None:
    cycle = cycle_of_two_topics()
    for frame in cycle.frames:
        assert not cycle.decided.is_set()
        with frame:
            pass
    assert cycle.decided.is_set()
    assert cycle.failure is None


def test_a_round_is_decided_by_itself_and_the_cycle_has_the_shares_of_all() -> None:
    cycle = cycle_of_two_topics()
    for frame in cycle.frames:
        with frame:
            pass
    first = list(cycle.round_shares)
    cycle.begin_round({ONE.topic: [Share(ONE, (), source_next=8)]})
    assert not cycle.decided.is_set()
    assert list(cycle.round_shares) == []
    with cycle.frames[0]:
        pass
    assert cycle.decided.is_set()
    assert [share.source_next for share in cycle.round_shares] == [8]
    assert list(cycle.shares) == [*first, *cycle.round_shares]


def test_a_frame_of_deadlines_alone_stands_at_the_position_not_below_it() -> None:
    for frame in cycle_of_two_topics().frames:
        assert frame.reached == (TP(frame.topic, 0), 7)


@pytest.mark.parametrize("partitions", [1, 6, 8, 12])
def test_a_record_is_in_its_place_where_kafkas_default_partitioner_puts_it(partitions: int) -> None:
    destination, choose = Destination("one", partitions), DefaultPartitioner()
    numbers = list(range(partitions))
    for key in [b"", b"\xff\x00", *(str(uuid4()).encode() for _ in range(50))]:
        own = choose(key, numbers, numbers)
        destination.check_place(SyntheticRecord("one", own, 7, 0, key, b"{}"))
        for other in set(numbers) - {own}:
            with pytest.raises(Unreadable, match=rf"partition {other} is not the key's, {own} of") as refused:
                destination.check_place(SyntheticRecord("one", other, 7, 0, key, b"{}"))
            assert refused.value.reason == "wrong_partition"


def test_a_record_without_a_key_is_left_to_its_reader() -> None:
    Destination("one", 8).check_place(SyntheticRecord("one", 3, 7, 0, None, b"{}"))
