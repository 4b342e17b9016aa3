"""The table of a folder of results: what is wanted beside what was measured, in Markdown.

A row a target; a case that was not measured, or that has no such figure, has none there.
Calls that have failed stand in the row of their figure, and below the table with those
of figures that have no row: what fails quickly is no pace.
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
    """Read the results of a folder, by case."""
    results = [_result(file.read_bytes()) for file in sorted(folder.glob("*.json"))]
    return {result.case: result for result in results}


def table(results: Mapping[str, Result], targets: Sequence[Target] = TARGETS) -> str:
    """Return the table, and before it what it was measured on."""
    rows = [_row(target, results.get(target.case)) for target in targets]
    return "\n".join([*_measured(results), *_lines([HEAD, *rows]), "", RATIO, *_failed(results)])


def missing(results: Mapping[str, Result], targets: Sequence[Target] = TARGETS) -> list[str]:
    """Return which wanted figures a case should have and has not: something went wrong in it."""
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
    """Return what the figure is a part of."""
    within = target.path.rpartition(".")[0]
    return next(iter(figures_at(result.figures, within).values())) if within else result.figures


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def _measured(results: Mapping[str, Result]) -> list[str]:
    """Say once a machine and commit which cases were measured there, and when."""
    places: dict[str, list[str]] = {}
    for result in results.values():
        on = result.machine
        place = f"{on.cpu}, {on.cores} cores, {on.memory_mb:,} MB, Linux {on.kernel}, commit {result.commit}"
        places.setdefault(place, []).append(result.measured_at)
    lines = [f"{place}, {min(at)[:10]}: {len(at)} cases." for place, at in places.items()]
    return [*lines, ""] if lines else []


def _failed(results: Mapping[str, Result]) -> list[str]:
    """Say of each fault what it was of, what, and how often."""
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
