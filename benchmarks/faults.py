"""Faults in a case's figures: failures during the measurement, with their path in the figures.

Figures have failures in four forms: `statuses` of calls (all but 2xx), `errors` by kind,
`failed` as a number, and `error` as text.  All are reported, so that no figure looks better
than it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

SUCCESS: Final = "2"
"""First character of the status of a successful call."""


class Fault(NamedTuple):
    """Path in the figures, kind of failure, and count."""

    path: str
    what: str
    times: int


def faults_in(figures: Any, path: str = "") -> Iterator[Fault]:
    """Yield all failures in the order of the figures."""
    if isinstance(figures, list):
        for place, item in enumerate(figures):
            yield from faults_in(item, _below(path, str(place)))
    elif isinstance(figures, Mapping):
        for name, value in figures.items():
            told = _told(name, value)
            yield from (Fault(path, what, times) for what, times in told.items() if times)
            if not told:
                yield from faults_in(value, _below(path, name))


def _told(name: str, value: Any) -> Mapping[str, int]:
    match name, value:
        case "statuses", Mapping():
            return {status: times for status, times in value.items() if not status.startswith(SUCCESS)}
        case "errors", Mapping():
            return value
        case "failed", int():
            return {name: value}
        case "error", str():
            return {value: 1}
    return {}


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
