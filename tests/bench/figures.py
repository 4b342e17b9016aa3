"""Figures by their path in what a case returned: `contenders.*.median_per_s`.

A star stands for every name of a mapping.  What it stood for tells the figures apart;
without a star, the last name of the path does.  A list has a list of what its items have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def figures_at(figures: Any, path: str) -> dict[str, Any]:
    """Return what is at the path, by label, in order; what is missing or null is left out."""
    names = path.split(".")
    return {
        " ".join(stars) or names[-1]: value for stars, value in _found(figures, names) if value is not None
    }


def figure_at(figures: Any, path: str) -> float | None:
    """Return the one figure at a path without stars; None if there is none."""
    return next(iter(figures_at(figures, path).values()), None)


def _found(value: Any, names: list[str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not names:
        yield (), value
        return
    name, rest = names[0], names[1:]
    if isinstance(value, list):
        yield (), [figure_at(item, ".".join(names)) for item in value]
    if not isinstance(value, Mapping):
        return
    if name == "*":
        for key, inner in value.items():
            for stars, found in _found(inner, rest):
                yield (key, *stars), found
    elif name in value:
        yield from _found(value[name], rest)
