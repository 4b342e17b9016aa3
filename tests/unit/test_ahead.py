"""What a worker has committed for itself comes ahead in its place in the log, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.engine.loopback import OF_ONE_MAX, WAITING_MAX, Ahead
from ledger_streams.kafka.records import AppendedBatch

HERE, ELSEWHERE = TP("commands", 0), TP("commands", 1)
AT_MS = 1_700_000_000_000


def batch(first_offset: int, count: int = 1, tp: TP = HERE, append_ms: int | None = AT_MS) -> AppendedBatch:
    return AppendedBatch(
        tp, first_offset, append_ms, [(b"key", b"%d" % (first_offset + n), ()) for n in range(count)]
    )


def ahead_of(*batches: AppendedBatch, owned: Sequence[TP] = (HERE, ELSEWHERE)) -> Ahead:
    ahead = Ahead()
    ahead.add(batches, owned)
    return ahead


def read_to(offset: int) -> Callable[[TP], int]:
    return lambda tp: offset


def offsets(ahead: Ahead, position: int, tp: TP = HERE) -> list[int]:
    return [record.offset for record in ahead.take(read_to(position)).get(tp, ())]


def test_records_are_as_the_consumer_would_bring_them() -> None:
    (record,) = ahead_of(AppendedBatch(HERE, 7, AT_MS, [(b"k", b"v", (("name", b"text"),))])).take(
        read_to(7)
    )[HERE]
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("commands", 0, 7, AT_MS)
    assert (record.key, record.value, record.headers) == (b"k", b"v", (("name", b"text"),))


def test_batches_follow_each_other() -> None:
    assert offsets(ahead_of(batch(5, 3), batch(8, 2)), 5) == [5, 6, 7, 8, 9]


def test_nothing_is_taken_twice() -> None:
    ahead = ahead_of(batch(5))
    assert ahead.is_next(read_to(5))
    assert offsets(ahead, 5) == [5]
    assert not ahead.is_next(read_to(5))
    assert offsets(ahead, 5) == []


def test_what_another_has_written_before_it_is_waited_for() -> None:
    ahead = ahead_of(batch(6))
    assert not ahead.is_next(read_to(5))
    assert offsets(ahead, 5) == []
    assert offsets(ahead, 6) == [6]


def test_a_gap_after_what_was_taken_is_waited_for_too() -> None:
    ahead = ahead_of(batch(5), batch(7))
    assert offsets(ahead, 5) == [5]
    assert offsets(ahead, 6) == []
    assert offsets(ahead, 7) == [7]


def test_what_follows_what_was_taken_need_not_wait_for_the_consumer() -> None:
    ahead = ahead_of(batch(5, 2))
    assert offsets(ahead, 5) == [5, 6]
    ahead.add([batch(7)], [HERE])
    assert ahead.is_next(read_to(5))
    assert offsets(ahead, 5) == [7]


def test_what_the_consumer_has_read_is_forgotten() -> None:
    ahead = ahead_of(batch(5, 3), batch(9))
    assert offsets(ahead, 6) == []
    assert offsets(ahead, 9) == [9]


def test_each_partition_has_its_own_place() -> None:
    ahead = ahead_of(batch(5), batch(9, tp=ELSEWHERE))
    assert offsets(ahead, 9, ELSEWHERE) == [9]


def test_partitions_of_others_and_times_of_others_are_left_to_the_consumer() -> None:
    assert offsets(ahead_of(batch(5), owned=[ELSEWHERE]), 5) == []
    assert offsets(ahead_of(batch(5, append_ms=None)), 5) == []


def test_after_a_takeover_nothing_is_left() -> None:
    ahead = ahead_of(batch(5), batch(6))
    assert offsets(ahead, 5) == [5, 6]
    ahead.add([batch(7)], [HERE])
    ahead.clear()
    assert not ahead.is_next(read_to(7))
    assert offsets(ahead, 7) == []
    ahead.add([batch(5)], [HERE])
    assert offsets(ahead, 5) == [5]


OWN, OTHERS, MARKER = "own", "another's", "marker"
LOGS = st.lists(st.tuples(st.sampled_from([OWN, OTHERS, MARKER]), st.integers(1, 3)), max_size=20)


@given(log=LOGS, reads=st.lists(st.integers(0, 6), max_size=20))
def test_whatever_is_in_the_log_each_record_comes_once_in_order(
    log: list[tuple[str, int]], reads: list[int]
) -> None:
    """The consumer reads a little further now and then; what it brings below the position is passed over."""
    kinds = [kind for kind, count in log for _ in range(count)]
    ahead, offset = Ahead(), 0
    for kind, count in log:
        ahead.add([batch(offset, count)] if kind == OWN else [], [HERE])
        offset += count
    position, read, came = 0, 0, []
    for further in (*reads, len(kinds)):
        brought = [at for at in range(read, min(read + further, len(kinds))) if kinds[at] != MARKER]
        read = min(read + further, len(kinds))
        brought += offsets(ahead, read)
        came += [at for at in brought if at >= position]
        position = max([position, *(at + 1 for at in came)])
    assert came == [at for at, kind in enumerate(kinds) if kind != MARKER]


def test_what_was_written_is_unread_until_the_consumer_is_past_it() -> None:
    ahead = ahead_of(batch(5, 3))
    assert ahead.is_unread(read_to(7))
    assert not ahead.is_unread(read_to(8))
    assert not ahead.is_unread(read_to(0)), "it was read"


def test_what_is_under_way_is_counted_but_for_what_is_new() -> None:
    requests = TP("requests", 0)
    ahead = Ahead({"requests"})
    ahead.add([batch(5, 3), batch(1_008, 2), batch(0, 4, ELSEWHERE), batch(0, 7, requests)], [HERE, requests])
    assert ahead.under_way == 5
    assert offsets(ahead, 5) == [5, 6, 7]
    assert ahead.under_way == 2
    assert offsets(ahead, 2_000) == []
    assert ahead.under_way == 0


def test_one_partition_that_stands_still_is_not_taken_for_all() -> None:
    ahead = ahead_of(*(batch(first, 500) for first in range(0, 5 * OF_ONE_MAX, 500)))
    assert ahead.under_way == OF_ONE_MAX


def test_nobody_waits_for_what_was_written_where_the_new_comes_in() -> None:
    ahead = Ahead({"commands"})
    ahead.add([batch(5)], [HERE])
    assert not ahead.is_unread(read_to(0))
    assert offsets(ahead, 5) == [5]


def test_what_is_too_much_is_read_back_in_its_place() -> None:
    ahead = ahead_of(*(batch(first, 1_000) for first in range(0, WAITING_MAX + 3_000, 1_000)))
    assert ahead.is_unread(read_to(WAITING_MAX + 2_999))
    assert offsets(ahead, 0) == list(range(WAITING_MAX))
    ahead.add([batch(WAITING_MAX + 3_000)], [HERE])
    assert offsets(ahead, WAITING_MAX + 2_999) == []
    assert offsets(ahead, WAITING_MAX + 3_000) == [WAITING_MAX + 3_000]
