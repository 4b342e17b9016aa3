"""The benchmarks' table compares with what is wanted, and says what should have been measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.bench.envelope import Machine, Result
from tests.bench.figures import figure_at, figures_at
from tests.bench.table import missing, results_in, table
from tests.bench.targets import TARGETS, Target

PACE = Target("wallets", "ours_to.peer", "a peer's pace", "x", 1.5)
TIME = Target("payments", "rates.200/s.p99_ms", "a payment, p99", "ms", 300, is_most=True)
SPEED = Target("rebuild", "records_per_s", "cold rebuild", "records/s", 150_000)
MACHINE = Machine("a processor", cores=2, memory_mb=24_105, kernel="6.18.1", load_before=0.25)


def result(case: str, figures: Any) -> Result:
    return Result(case, "2026-11-26T13:59:21Z", "c1fa65e33155", MACHINE, {}, figures)


FOUND = {
    "wallets": result("wallets", {"ours_to": {"peer": 3.0}}),
    "payments": result("payments", {"rates": {"200/s": {"p99_ms": 600.0}}}),
}


def test_a_row_a_target_and_a_ratio_of_1_or_more_is_as_wanted() -> None:
    assert table(FOUND, [PACE, TIME, SPEED]).splitlines() == [
        "a processor, 2 cores, 24,105 MB, Linux 6.18.1, commit c1fa65e33155, 2026-11-26: 2 cases.",
        "",
        "| case     | what           | figure | unit      |    wanted | ratio |",
        "| -------- | -------------- | -----: | --------- | --------: | ----: |",
        "| wallets  | a peer's pace  |      3 | x         |     ≥ 1.5 |  2.00 |",
        "| payments | a payment, p99 |    600 | ms        |     < 300 |  0.50 |",
        "| rebuild  | cold rebuild   |      – | records/s | ≥ 150,000 |     – |",
        "",
        "Ratio: how well the wanted figure is met, 1 or more if it is.",
    ]


def test_results_are_read_back_from_their_files_and_nothing_else_is(tmp_path: Path) -> None:
    for name, found in FOUND.items():
        (tmp_path / f"{name}.json").write_bytes(msgspec.json.encode(found))
    (tmp_path / "rebuild.json.part").write_text("{")
    assert results_in(tmp_path) == FOUND


@pytest.mark.parametrize("figures", [{}, {"ours_to": {}}, {"ours_to": {"peer": None}}, {"ours_to": None}])
def test_a_case_without_its_wanted_figure_has_failed(figures: Any) -> None:
    assert missing({"wallets": result("wallets", figures)}, [PACE, SPEED]) == [
        "wallets: no figure at ours_to.peer"
    ]
    assert missing(FOUND, [PACE, TIME, SPEED]) == []


def test_a_star_stands_for_every_name_and_a_path_without_for_one_figure() -> None:
    figures = {"of": {"one": {"ms": 1.5, "plan": []}, "two": {"ms": None}, "three": {"ms": 3}}}
    assert figures_at(figures, "of.*.ms") == {"one": 1.5, "three": 3}
    assert figures_at(figures, "of.one.ms") == {"ms": 1.5}
    assert figure_at(figures, "of.one.ms") == 1.5
    assert figure_at(figures, "of.two.ms") is None
    assert figure_at(figures, "of.one.ms.more") is None
    assert figures_at({"beside 50/s": {"ms": 5}, "alone": {"ms": 4}}, "beside *.ms") == {"beside 50/s": 5}
    assert figure_at({"sizes": [{"ms": 1}, {"ms": 2}]}, "sizes.-1.ms") == 2
    assert figure_at({"sizes": []}, "sizes.-1.ms") is None
    assert figures_at({"of": {"a": [{"ms": 1}, {"ms": 2}]}}, "of.*.ms") == {"a": [1, 2]}


def test_no_figure_is_wanted_twice() -> None:
    paths = [(target.case, target.path) for target in TARGETS]
    assert len(set(paths)) == len(paths)
