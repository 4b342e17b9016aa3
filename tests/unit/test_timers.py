"""Deadlines: the index by time beside the states of one partition, in a RocksDB of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rocksdict import Options, Rdict, WriteBatch

from ledger_streams.engine.state.store import PartitionStore, Position, TableSpec
from ledger_streams.engine.state.timers import FIRED_MAX, STALE_MAX, Due, Timers

KEYS = [f"key-{number}".encode() for number in range(4)]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Rdict]:
    opened = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    yield opened
    opened.close()


def moved(db: Rdict, timers: Timers, **due_ms: int | None) -> None:
    """Write a batch that moves the deadlines of `k0`, `k1`, ... and makes past what was given."""
    batch = WriteBatch(raw_mode=True)
    for name, at_ms in due_ms.items():
        timers.move(batch, KEYS[int(name[1:])], at_ms)
    timers.delete_fired(batch)
    db.write(batch)


def test_deadlines_come_in_their_order_and_none_before_its_time(db: Rdict) -> None:
    timers = Timers(db)
    assert timers.next_ms() is None
    moved(db, timers, k0=300, k1=100, k2=200)
    assert timers.next_ms() == 100
    assert timers.due(99) == []
    assert timers.due(200) == [Due(KEYS[1], 100), Due(KEYS[2], 200)]
    assert timers.next_ms() == 300


def test_what_a_committed_cycle_was_given_is_past(db: Rdict) -> None:
    timers = Timers(db)
    moved(db, timers, k0=100, k1=200)
    assert timers.due(100) == [Due(KEYS[0], 100)]
    moved(db, timers)
    assert timers.due(100) == []
    assert timers.next_ms() == Timers(db).next_ms() == 200


def test_what_a_lost_cycle_was_given_comes_again(db: Rdict) -> None:
    timers = Timers(db)
    moved(db, timers, k0=100)
    assert timers.due(100) == [Due(KEYS[0], 100)]
    timers.rearm()
    assert timers.next_ms() == 100
    assert timers.due(100) == [Due(KEYS[0], 100)]


def test_a_state_has_one_deadline_the_last(db: Rdict) -> None:
    timers = Timers(db)
    moved(db, timers, k0=100)
    moved(db, timers, k0=500)
    moved(db, timers, k0=300)
    for read in (timers, Timers(db)):
        assert read.next_ms() == 300
        assert read.due(1_000) == [Due(KEYS[0], 300)]
        read.rearm()
    moved(db, timers, k0=None)
    assert timers.next_ms() is Timers(db).next_ms() is None


def test_a_deadline_that_moves_in_the_cycle_it_was_given_to_is_kept(db: Rdict) -> None:
    timers = Timers(db)
    moved(db, timers, k0=100)
    assert timers.due(100) == [Due(KEYS[0], 100)]
    moved(db, timers, k0=150)
    assert timers.next_ms() == Timers(db).next_ms() == 150


def test_a_deadline_moved_there_and_back_comes_once(db: Rdict) -> None:
    timers = Timers(db)
    moved(db, timers, k0=100)
    moved(db, timers, k0=200)
    moved(db, timers, k0=100)
    assert timers.due(1_000) == [Due(KEYS[0], 100)]
    moved(db, timers)
    assert timers.due(1_000) == []
    assert timers.next_ms() is None


def test_deadlines_that_were_moved_away_take_no_room(db: Rdict) -> None:
    timers, far_ms = Timers(db), 10**12
    for number in range(5 * STALE_MAX):
        moved(db, timers, k0=far_ms + number, k1=number or None)
    assert timers.size() <= STALE_MAX + 4
    assert timers.due(10**9) == [Due(KEYS[1], 5 * STALE_MAX - 1)]
    moved(db, timers, **{f"k{number}": None for number in (2, 3)})
    assert timers.due(10**13) == [Due(KEYS[0], far_ms + 5 * STALE_MAX - 1)]


def test_a_cycle_is_given_no_more_than_it_can_bear_and_the_next_the_rest(db: Rdict) -> None:
    timers, batch = Timers(db), WriteBatch(raw_mode=True)
    for number in range(FIRED_MAX + 3):
        timers.move(batch, f"{number}".encode(), number)
    db.write(batch)
    assert [due.due_ms for due in timers.due(10_000)] == list(range(FIRED_MAX))
    moved(db, timers)
    assert [due.due_ms for due in timers.due(10_000)] == list(range(FIRED_MAX, FIRED_MAX + 3))


def test_other_keys_of_the_partition_are_no_deadlines(db: Rdict) -> None:
    for key in (b"\x00", b"\x00d", b"\x00dud", b"\x00position", b"due", b"\xff"):
        db[key] = b"x"
    assert Timers(db).next_ms() is None
    moved(db, Timers(db), k0=100)
    assert Timers(db).due(100) == [Due(KEYS[0], 100)]


def spec() -> TableSpec[Any]:
    return TableSpec(
        "toys", "numbers that are due", "toy-events", "toys-changelog", bytes, bytes, bytes, (), due_of
    )


def due_of(stored: bytes) -> int | None:
    return int(stored) or None


def test_a_table_keeps_its_deadlines_with_its_states_and_knows_them_when_it_is_opened(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path, spec(), 3)
    store.put(b"a", b"700", b"700")
    assert store.next_due_ms() is None
    store.write_committed(Position(1, 1))
    assert (store.next_due_ms(), store.is_empty()) == (700, False)
    assert [key for key, _ in store.items()] == [b"a"]
    store.close()
    store = PartitionStore(tmp_path, spec(), 3)
    assert store.due(700) == [Due(b"a", 700)]
    store.put(b"a", b"0", b"0")
    store.drop_overlay()
    assert store.due(700) == [Due(b"a", 700)]
    store.put(b"a", b"0", b"0")
    store.write_committed(Position(2, 2))
    assert store.next_due_ms() is None
    store.close()


def test_a_table_restored_from_its_changelog_has_its_deadlines_again(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path, spec(), 0)
    store.restore({b"a": b"700", b"b": b"0", b"c": b"600"}, Position(3, 3))
    assert store.due(1_000) == [Due(b"c", 600), Due(b"a", 700)]
    store.drop_overlay()
    store.wipe()
    assert store.next_due_ms() is None
    store.restore({b"a": b"800"}, Position(1, 1))
    assert store.next_due_ms() == 800
    store.close()


def test_a_store_of_another_log_is_emptied_and_one_of_the_same_log_is_kept(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path, spec(), 3)
    store.put(b"a", 700, b"700")
    store.write_committed(Position(1, 1))
    store.bind_to_log("")
    assert store.get(b"a") is not None
    store.bind_to_log("a new log")
    assert (store.get(b"a"), store.position) == (None, Position(log="a new log"))
    store.restore({b"a": b"800"}, Position(1, 1))
    assert store.position == Position(1, 1, log="a new log")
    store.bind_to_log("a new log")
    assert not store.is_empty()
    store.close()
