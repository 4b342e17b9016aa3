"""Table of the benchmarks: targets, failed calls and missing figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.envelope import Machine, Result
from benchmarks.faults import Fault, faults_in
from benchmarks.figures import figure_at, figures_at
from benchmarks.growth import GrowthCost
from benchmarks.http_calls import HttpTiming
from benchmarks.memory import MemoryUse
from benchmarks.payments import QUANTILES, RATES_PER_S, PacedTiming, PaymentTimings, SaturationRate
from benchmarks.table import missing, results_in, table
from benchmarks.targets import TARGETS, Target
from benchmarks.usage import Memory
from benchmarks.wallet_distribution import DISTRIBUTIONS
from benchmarks.wrk import CallTiming

PACE = Target("wallets", "ours_to.peer", "a peer's pace", "x", 1.5)
TIME = Target("payments", "rates.200/s.p99_ms", "a payment, p99", "ms", 300, is_most=True)
CALLS = Target("http", "32.called.calls_per_s", "calls", "calls/s", 1_500)
SPEED = Target("rebuild", "records_per_s", "cold rebuild", "records/s", 150_000)
MEMORY = Memory(1.0, 1.0)
SATURATED = SaturationRate(1, 1.0, 1.0, {})
PACED = PacedTiming(1.0, 1, 1.0, dict.fromkeys(QUANTILES, 1.0), dict.fromkeys(QUANTILES, 1.0), {})
ANSWERED = HttpTiming(CallTiming(1, 1, 1.0, 1.0, 1.0, 1.0, {"200": 1}, {}, 1), {}, 1.0, 1.0)
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
        "| case     | what           | figure | unit      |    wanted | ratio | failed |",
        "| -------- | -------------- | -----: | --------- | --------: | ----: | -----: |",
        "| wallets  | a peer's pace  |      3 | x         |     ≥ 1.5 |  2.00 |      0 |",
        "| payments | a payment, p99 |    600 | ms        |     < 300 |  0.50 |      0 |",
        "| rebuild  | cold rebuild   |      – | records/s | ≥ 150,000 |     – |      – |",
        "",
        "Ratio: how well the wanted figure is met, 1 or more if it is.",
    ]


def test_calls_that_failed_stand_in_their_row_and_those_without_a_row_below() -> None:
    good = {"calls_per_s": 90.0, "statuses": {"200": 1_200}, "errors": {}}
    bad = {"calls_per_s": 2_000.0, "statuses": {"202": 2_990, "503": 1_010}, "errors": {"read": 4}}
    found = {"http": result("http", {"32": {"called": bad}, "256": {"called": good}, "at": {"called": bad}})}
    lines = table(found, [CALLS, CALLS._replace(path="256.called.calls_per_s")]).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[4:6]] == ["1,014", "0"]
    assert lines[-6:] == [
        "Failed, in all that was measured:",
        "",
        "- http, 32.called: 503, 1,010 x",
        "- http, 32.called: read, 4 x",
        "- http, at.called: 503, 1,010 x",
        "- http, at.called: read, 4 x",
    ]


def test_every_form_of_a_fault_is_found_and_nothing_else() -> None:
    figures = {
        "contenders": {"one": {"error": "a payment is lost"}, "two": {"error": None}},
        "rates": [{"failed": 0, "payments": 5}, {"failed": 2, "payments": 3}],
        "batches": {"called": {"statuses": {"200": 7}, "errors": {"batches_refused": 1}}},
    }
    assert list(faults_in(figures)) == [
        Fault("contenders.one", "a payment is lost", 1),
        Fault("rates.1", "failed", 2),
        Fault("batches.called", "batches_refused", 1),
    ]


def test_every_target_s_path_exists_in_its_case() -> None:
    wanted = {
        "payments": PaymentTimings(
            1, dict.fromkeys(DISTRIBUTIONS, SATURATED), {f"{rate:g}/s": PACED for rate in RATES_PER_S}
        ),
        "http": dict.fromkeys(("payments?wait, 32", "batches", "balance, cached, beside 7/s"), ANSWERED),
        "memory": MemoryUse(1, 1, MEMORY, MEMORY, MEMORY, 1.0, 1.0),
        "growth": {"wallets": [GrowthCost(10, 5.0), GrowthCost(100, 5.0)]},
    }
    results = {name: result(name, msgspec.to_builtins(figures)) for name, figures in wanted.items()}
    assert {target.case for target in TARGETS} >= wanted.keys()
    assert missing(results) == []


def test_only_result_files_are_read_back(tmp_path: Path) -> None:
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
