"""Exploration: every state that can be come to, breadth first, each once.

Breadth first makes the first fault found one of the shortest.  Liveness is looked at
backwards: from the ends along steps that are no faults every state has to be met, or
there is one from which no run without further faults carries everything out.
"""

from __future__ import annotations

import gc
from collections import deque
from typing import NamedTuple

from ledger_streams.errors import InvariantBroken
from tests.model.takeover.rules import Bounds
from tests.model.takeover.system import Step, System, all_steps, is_end, what_is_wrong


class Exploration(NamedTuple):
    """The result of an exploration."""

    states: int
    steps: int
    wrong: str | None = None
    """Which promise is broken."""
    trace: tuple[str, ...] = ()
    """The steps that lead there."""


class _Graph:
    """States by number, how each was first come to, and the steps without a fault, backwards."""

    def __init__(self, first: System) -> None:
        self.numbers = {first: 0}
        self.origins: list[tuple[int, str]] = [(0, "")]
        self.before: list[list[int]] = [[]]
        self.ends: list[int] = []
        self.steps = 0

    def add(self, origin: int, step: Step) -> int | None:
        """Add a step; return the number of the state it leads to, if that is new."""
        self.steps += 1
        number = self.numbers.setdefault(step.system, len(self.origins))
        is_new = number == len(self.origins)
        if is_new:
            self.origins.append((origin, step.name))
            self.before.append([])
        if not step.is_fault:
            self.before[number].append(origin)
        return number if is_new else None

    def found(self, number: int, wrong: str | None) -> Exploration:
        """Say what is wrong with a state, and how it was come to."""
        trace: deque[str] = deque()
        while wrong is not None and number:
            number, name = self.origins[number]
            trace.appendleft(name)
        return Exploration(len(self.origins), self.steps, wrong, tuple(trace))

    def without_an_end(self) -> int | None:
        """Return a state from which no run without faults reaches an end."""
        reaches = bytearray(len(self.origins))
        waiting = list(self.ends)
        while waiting:
            number = waiting.pop()
            if not reaches[number]:
                reaches[number] = 1
                waiting.extend(self.before[number])
        missing = reaches.find(0)
        return None if missing < 0 else missing


def explore(bounds: Bounds) -> Exploration:
    """Explore everything within the bounds, or up to the first broken promise."""
    gc.disable()  # values make no cycles, and looking for some among so many takes a third of the time
    try:
        return _explored(bounds)
    finally:
        gc.enable()


def _explored(bounds: Bounds) -> Exploration:
    first = System(faults_left=bounds.faults)
    graph = _Graph(first)
    waiting = deque([first])
    while waiting:
        system = waiting.popleft()
        origin = graph.numbers[system]
        try:
            for step in all_steps(system, bounds):
                number = graph.add(origin, step)
                if number is None:
                    continue
                wrong = what_is_wrong(step.system, bounds)
                if wrong is not None:
                    return graph.found(number, wrong)
                if is_end(step.system, bounds):
                    graph.ends.append(number)
                waiting.append(step.system)
        except InvariantBroken as error:
            return graph.found(origin, f"a worker ends: {error}")
    stuck = graph.without_an_end()
    return graph.found(stuck or 0, None if stuck is None else "no run from here reaches the end")
