"""Roots of days: the day of a row, and the content of a seal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ledger_streams.audit.roots import (
    BEGIN,
    Boundaries,
    Days,
    Root,
    disagreements,
    seal,
    seal_of,
    spans,
)

FIRST: Boundaries = {"a": {"0": (10, "00"), "1": (5, None)}}
SECOND: Boundaries = {"a": {"0": (10, "00"), "1": (8, None)}, "b": {"0": (3, "01")}}


def root(day: str, boundaries: Boundaries) -> Root:
    return Root(day, "ab", 3, boundaries, keyed=False, seal="")


@pytest.mark.parametrize(
    ("place", "day"),
    [
        (("a", 0, 9), "2026-11-23"),
        (("a", 0, 10), "open"),
        (("a", 1, 5), "2026-11-24"),
        (("b", 0, 2), "2026-11-24"),
        (("c", 0, 0), "open"),
        (("a", 1, -1), "2026-11-23"),
    ],
)
def test_a_row_is_of_the_first_day_that_ends_after_it(place: tuple[str, int, int], day: str) -> None:
    assert Days([root("2026-11-23", FIRST), root("2026-11-24", SECOND)]).day(*place) == day
    assert Days([]).day(*place) == "open"


def test_days_neither_overlap_nor_leave_anything_out() -> None:
    found = {(span.topic, span.partition): (span.since, span.until) for span in spans(SECOND, FIRST)}
    assert found == {("a", 0): (10, 10), ("a", 1): (5, 8), ("b", 0): (BEGIN, 3)}


@pytest.mark.parametrize("key", ["", "secret"])
def test_a_seal_covers_all_of_its_root_and_the_seal_before(key: str) -> None:
    made = seal(root("2026-11-24", SECOND), "before", key)
    assert made.keyed == bool(key)
    assert made.seal == seal_of(made, "before", key)
    others: list[dict[str, Any]] = [
        {"day": "2026-11-25"},
        {"root": "ac"},
        {"leaves": 4},
        {"boundaries": FIRST},
    ]
    seals = {seal_of(msgspec.structs.replace(made, **other), "before", key) for other in others}
    assert len(seals | {made.seal, seal_of(made, "another", key), seal_of(made, "before", "x")}) >= 6


def test_roots_here_and_elsewhere_have_to_be_the_same() -> None:
    one, other = root("2026-11-23", FIRST), root("2026-11-24", SECOND)
    assert list(disagreements([one], {one.day: [one]})) == []
    assert list(disagreements([one], {})) == [(one.day, "is not on Kafka")]
    assert list(disagreements([], {one.day: [one]})) == [(one.day, "is on Kafka and not in the database")]
    changed = msgspec.structs.replace(other, seal="cd")
    assert [day for day, _ in disagreements([other], {other.day: [other, changed]})] == [other.day]
