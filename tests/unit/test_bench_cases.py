"""Benchmark cases: every case prints its help and accepts its small arguments."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.__main__ import parser
from benchmarks.case import Case
from benchmarks.cases import CASES
from benchmarks.charts import Bars, Lines
from benchmarks.envelope import changed_settings, commit
from ledger_streams.settings import Settings


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_case_takes_its_small_arguments_and_a_file_to_draw_into(case: Case) -> None:
    usual = vars(parser().parse_args([case.name]))
    small = vars(parser().parse_args([case.name, *case.small, "--plot", "drawn.svg"]))
    assert usual.keys() == small.keys()
    assert small.pop("plot") == Path("drawn.svg").absolute()
    assert usual.pop("plot") is None
    assert bool(case.small) == (usual != small)


@pytest.mark.parametrize(
    "arguments",
    [[], ["nothing"], ["wallets", "--contenders", "nobody"], ["sink", "--plot", "drawn.txt"], ["table"]],
    ids=" ".join,
)
def test_unknown_cases_and_options_are_an_error_of_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(arguments)
    assert ended.value.code == 2


def test_default_settings_and_addresses_are_omitted() -> None:
    own = Settings(kafka="elsewhere:1", audit_key="a secret", standby=False, drain_s=0)
    assert changed_settings(own) == {"LEDGER_STANDBY": False, "LEDGER_DRAIN_S": 0.0}


def test_a_commit_is_reported_with_a_mark_for_changed_files(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init")
    assert commit(tmp_path) is None
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "One")
    assert commit(tmp_path) == git("rev-parse", "HEAD")[:12]
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == f"{git('rev-parse', 'HEAD')[:12]}-dirty"


def test_bars_have_a_figure_each_and_dots_of_their_rounds() -> None:
    bars = Bars("x/s", ("of.*.median", "alone"), rounds="of.*.rounds")
    figures = {
        "of": {"ours": {"median": 2, "rounds": [1, 2, 3]}, "wrong": {"median": None, "rounds": []}},
        "alone": 4,
    }
    assert bars.heights(figures) == {"ours": 2, "alone": 4}
    assert bars.dots(figures) == {"ours": [1, 2, 3], "wrong": []}


def test_lines_of_two_places_have_names_of_both() -> None:
    lines = Lines("paced.*.per_s", "payments/s", ("paced.*.kafka_ms.p50", "paced.*.postgres_ms.p50"), "ms")
    figures = {"paced": {"200/s": {"per_s": 200.0, "kafka_ms": {"p50": 5}, "postgres_ms": {"p50": 8}}}}
    assert lines.points(figures) == {"kafka_ms p50": [(200.0, 5)], "postgres_ms p50": [(200.0, 8)]}


def test_lines_go_from_the_lowest_load_to_the_highest() -> None:
    lines = Lines("*.per_s", "payments/s", ("*.p50_ms", "*.p99_ms"), "ms")
    figures = {
        "saturation": {"per_s": 900.0, "p50_ms": 50, "p99_ms": 90},
        "200/s": {"per_s": 199.5, "p50_ms": 5, "p99_ms": 9},
    }
    assert lines.points(figures) == {"p50_ms": [(199.5, 5), (900.0, 50)], "p99_ms": [(199.5, 9), (900.0, 90)]}
