"""Figures by their path in the result of a case, e.g. `contenders.*.median_per_s`.

A name with a star is a pattern for the keys of a mapping, and the matched keys label the
figures; without a star, the last name of the path is the label.  0 and -1 are the first and
last item of a list; any other name collects that field of all items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

PLACES: Final = ("0", "-1")


def figures_at(figures: Any, path: str) -> dict[str, Any]:
    """Return `{label: figure}` at the path, in order, without missing or null figures."""
    names = path.split(".")
    return {
        " ".join(stars) or names[-1]: value for stars, value in _found(figures, names) if value is not None
    }


def figure_at(figures: Any, path: str) -> float | None:
    """Return the first figure at a path; None if there is none."""
    return next(iter(figures_at(figures, path).values()), None)


def _found(value: Any, names: list[str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not names:
        yield (), value
        return
    name, rest = names[0], names[1:]
    if isinstance(value, list) and name in PLACES:
        yield from _found(value[int(name)] if value else None, rest)
    elif isinstance(value, list):
        yield (), [figure_at(item, ".".join(names)) for item in value]
    elif isinstance(value, Mapping) and "*" in name:
        for key in (key for key in value if fnmatchcase(key, name)):
            for stars, found in _found(value[key], rest):
                yield (key, *stars), found
    elif isinstance(value, Mapping) and name in value:
        yield from _found(value[name], rest)
