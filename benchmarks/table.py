"""The table of a folder of results: targets beside measured figures, in Markdown.

The table has a row per target; a case without a result or without that figure shows a
dash.  Failed calls are counted in the row of their figure and listed below the table, since
a rate of failures is not a throughput.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.envelope import Result
from benchmarks.faults import faults_in
from benchmarks.figures import figure_at, figures_at
from benchmarks.targets import TARGETS, Target

HEAD: Final = ("case", "what", "figure", "unit", "wanted", "ratio", "failed")
NUMBERS: Final = ("figure", "wanted", "ratio", "failed")
RATIO: Final = "Ratio: how well the wanted figure is met, 1 or more if it is."
FAILED: Final = "Failed, in all that was measured:"
NONE: Final = "–"
_result = msgspec.json.Decoder(Result).decode


def results_in(folder: Path) -> dict[str, Result]:
    """Return the results in a folder, by case."""
    results = [_result(file.read_bytes()) for file in sorted(folder.glob("*.json"))]
    return {result.case: result for result in results}


def table(results: Mapping[str, Result], targets: Sequence[Target] = TARGETS) -> str:
    """Return the table, preceded by the machines of the measurements."""
    rows = [_row(target, results.get(target.case)) for target in targets]
    return "\n".join([*_measured(results), *_lines([HEAD, *rows]), "", RATIO, *_failed(results)])


def missing(results: Mapping[str, Result], targets: Sequence[Target] = TARGETS) -> list[str]:
    """Return one line per target whose case has a result without that figure."""
    return [
        f"{target.case}: no figure at {target.path}"
        for target in targets
        if target.case in results and figure_at(results[target.case].figures, target.path) is None
    ]


def _row(target: Target, result: Result | None) -> tuple[str, ...]:
    figure = figure_at(result.figures, target.path) if result else None
    wanted = f"{'<' if target.is_most else '≥'} {target.wanted:,g}"
    if result is None or figure is None:
        return target.case, target.about, NONE, target.unit, wanted, NONE, NONE
    failed = sum(fault.times for fault in faults_in(_around(target, result)))
    ratio = f"{target.ratio(figure):.2f}"
    return target.case, target.about, _number(figure), target.unit, wanted, ratio, f"{failed:,}"


def _around(target: Target, result: Result) -> Any:
    """Return the part of the result that contains the figure."""
    within = target.path.rpartition(".")[0]
    return next(iter(figures_at(result.figures, within).values())) if within else result.figures


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _measured(results: Mapping[str, Result]) -> list[str]:
    """Return one line per machine and commit, with date and number of cases."""
    places: dict[str, list[str]] = {}
    for result in results.values():
        on = result.machine
        place = f"{on.cpu}, {on.cores} cores, {on.memory_mb:,} MB, Linux {on.kernel}, commit {result.commit}"
        places.setdefault(place, []).append(result.measured_at)
    lines = [f"{place}, {min(at)[:10]}: {len(at)} cases." for place, at in places.items()]
    return [*lines, ""] if lines else []


def _failed(results: Mapping[str, Result]) -> list[str]:
    """Return one line per fault: case, path, kind, count."""
    faults = [(case, fault) for case, result in results.items() for fault in faults_in(result.figures)]
    lines = [f"- {case}, {fault.path}: {fault.what}, {fault.times:,} x" for case, fault in faults]
    return ["", FAILED, "", *lines] if lines else []


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if name in NUMBERS else "<" for name in HEAD]
    ends = [":" if side == ">" else "-" for side in sides]
    rules = ["-" * (width - 1) + end for end, width in zip(ends, widths, strict=True)]
    lines = [
        [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)]
        for row in rows
    ]
    return [f"| {' | '.join(cells)} |" for cells in (lines[0], rules, *lines[1:])]
