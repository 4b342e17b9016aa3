"""Charts of a case's figures: bars for comparisons, lines for percentiles over load.

matplotlib belongs to the extra `bench` and is imported only for drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import figures_at

ENDINGS: Final = (".svg", ".png")
INCHES: Final = (8.0, 4.5)
DOTS_PER_INCH: Final = 150
LABEL_CHARACTERS_MAX: Final = 60
"""Total length of the labels above which bars are horizontal, so that labels do not overlap."""


@dataclass(frozen=True)
class Bars:
    """One bar per figure at the paths, all of one unit; one dot per round."""

    unit: str
    paths: tuple[str, ...]
    of: str = ""
    """Title of the labels, if they need one."""
    rounds: str = ""
    """Path of the rounds: lists with the labels of the bars."""

    def heights(self, figures: Any) -> dict[str, float]:
        """Return the figures by label."""
        return {label: at for path in self.paths for label, at in figures_at(figures, path).items()}

    def dots(self, figures: Any) -> dict[str, list[float]]:
        """Return the figures of each round by label."""
        return figures_at(figures, self.rounds) if self.rounds else {}

    def draw_on(self, axes: Any, figures: Any) -> None:
        """Draw the chart on the axes."""
        heights, dots = self.heights(figures), self.dots(figures)
        lies = sum(map(len, heights)) > LABEL_CHARACTERS_MAX
        (axes.barh if lies else axes.bar)([*heights], [*heights.values()], color="tab:blue")
        for label in heights:
            for at in dots.get(label, ()):
                axes.plot(*((at, label) if lies else (label, at)), "o", color="black", markersize=3)
        if lies:
            axes.invert_yaxis()
        axes.set(
            **{"xlabel": self.unit, "ylabel": self.of} if lies else {"xlabel": self.of, "ylabel": self.unit}
        )


@dataclass(frozen=True)
class Lines:
    """One line per path of `ys` over the loads at `x`; each path has one star, which matches the loads."""

    x: str
    x_unit: str
    ys: tuple[str, ...]
    y_unit: str

    def points(self, figures: Any) -> dict[str, list[tuple[float, float]]]:
        """Return the points of each line, from the lowest load to the highest."""
        loads = figures_at(figures, self.x)
        return {
            path.partition("*.")[2].replace(".", " "): sorted(
                (loads[key], at) for key, at in figures_at(figures, path).items()
            )
            for path in self.ys
        }

    def draw_on(self, axes: Any, figures: Any) -> None:
        """Draw the chart on the axes."""
        for name, points in self.points(figures).items():
            axes.plot(*zip(*points, strict=True), "o-", label=name)
        axes.set_xlabel(self.x_unit)
        axes.set_ylabel(self.y_unit)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend()


Save = Callable[[Any, Bars | Lines, str, Path], None]
"""Function of figures, chart, title and file."""


def chart_writer() -> Save:
    """Return the function that draws figures into a file; exits if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 (belongs to the extra `bench`)
    except ModuleNotFoundError as error:
        raise SystemExit("--plot: matplotlib is missing; it is of the extra `bench`") from error

    def save(figures: Any, chart: Bars | Lines, title: str, file: Path) -> None:
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, wrap=True)
        chart.draw_on(axes, figures)
        figure.savefig(file, dpi=DOTS_PER_INCH)

    return save
