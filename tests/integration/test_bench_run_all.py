"""`run_all`: a case that fails or does not end is reported, and the other cases still run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cases import CASES
from benchmarks.charts import Bars, chart_writer
from benchmarks.run_all import run_all, run_one
from benchmarks.table import results_in
from ledger_streams.settings import Settings

pytestmark = pytest.mark.slow

QUICK = replace(CASES["sink"], small=("--payments", "500"))
FAILING = replace(CASES["legs"], small=("--payments", "none"))
ENDLESS = replace(CASES["http-rate"], small=("--payments", "100000", "--rates", "1"))
BEGINS_S = 5.0


@pytest.mark.usefixtures("stack")
def test_a_failed_case_is_reported_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "legs.json").write_text("of an earlier run")
    faults = run_all([FAILING, QUICK], tmp_path, draws=False)
    assert faults == [f"legs: ended with 2, see {tmp_path / 'legs.log'}"]
    assert "invalid int value: 'none'" in (tmp_path / "legs.log").read_text()
    (result,) = results_in(tmp_path).values()
    assert (result.case, result.settings["options"]) == ("sink", {"payments": 500})
    assert result.figures["payments"] == 500
    assert result.figures["payments_per_s"] > 0


def test_a_case_beyond_its_time_limit_is_stopped_and_cleans_up(stack: Settings, tmp_path: Path) -> None:
    fault = run_one(ENDLESS, tmp_path, draws=False, seconds_max=BEGINS_S)
    assert fault == f"did not end in time, see {tmp_path / 'http-rate.log'}"
    assert [file.name for file in tmp_path.iterdir()] == ["http-rate.log"]
    assert "KeyboardInterrupt" in (tmp_path / "http-rate.log").read_text()


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_figures_are_drawn(tmp_path: Path, ending: str) -> None:
    pytest.importorskip("matplotlib", reason="of the extra `bench`")
    figures = {"steps": {"now": {"rows_per_s": 10.0}, "verify": {"rows_per_s": 20.0}}}
    file = tmp_path / f"drawn.{ending}"
    chart_writer()(figures, Bars("rows/s", ("steps.*.rows_per_s",)), "archive", file)
    assert file.read_bytes().startswith(b"<?xml" if ending == "svg" else b"\x89PNG")
