"""The benchmarks `payments` and `http` run, and their figures have all targets and chart paths."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.__main__ import parser, run_case
from benchmarks.case import CaseRun
from benchmarks.cases import CASES
from benchmarks.envelope import Result
from benchmarks.suite_payments import CALLS, TIMES
from benchmarks.table import missing

pytestmark = pytest.mark.slow

SMALL = ("--wallets", "20", "--seconds", "1")


async def result_of(name: str, *arguments: str) -> Result:
    """Measure and read back what a file would have."""
    options = parser().parse_args([name, *SMALL, *arguments])
    encoded = msgspec.json.encode(await run_case(CASES[name], CaseRun(options)))
    return msgspec.json.decode(encoded, type=Result)


@pytest.mark.usefixtures("stack")
async def test_payments_are_timed_in_kafka_and_in_postgresql() -> None:
    result = await result_of("payments", "--payments", "200", "--rates", "200", "1000", "--parts", "0.5")
    assert missing({"payments": result}) == []
    paced = result.figures["paced"]
    assert {name: figures["payments"] for name, figures in paced.items() if "/s" in name} == {
        "200/s": 200,
        "1000/s": 1_000,
    }
    assert [len(points) for points in TIMES.points(result.figures).values()] == [3] * 4


@pytest.mark.usefixtures("stack")
async def test_every_call_over_http_is_answered_and_every_payment_ends() -> None:
    result = await result_of("http", "--connections", "32")
    assert missing({"http": result}) == []
    steps = result.figures
    assert all(sum(step["called"]["statuses"].values()) > 0 for step in steps.values())
    assert steps["balance, cached"]["called"]["hits"] > 0
    assert steps["balance, no cache"]["called"]["hits"] == 0
    half_per_s = round(steps["batches"]["completed_per_s"] / 2)
    assert f"balance, cached, beside {half_per_s:g}/s" in steps
    assert CALLS.heights(steps).keys() == steps.keys()
