"""Mutant: one rule, the change of one file that breaks it, and the tests that catch it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class NotAnchored(Exception):
    """The text that a mutant replaces is not in its file exactly once: the code has moved on."""


class Mutant(NamedTuple):
    """A rule and how it is broken."""

    name: str
    rule: str
    """A plain sentence that is true of the system, and false of the mutant."""
    file: str
    """From the root of the repository."""
    old: str
    new: str
    tests: tuple[str, ...]
    """Node ids of pytest: a file and a function, with or without a parameter."""


def mutated(mutant: Mutant, root: Path) -> str:
    """Return the text of the mutant's file with the change; raises NotAnchored."""
    path = root / mutant.file
    if not path.is_file():
        raise NotAnchored(f"{mutant.name}: there is no {mutant.file}; correct `file` in tests/mutants")
    text = path.read_text()
    count = text.count(mutant.old)
    if count != 1:
        raise NotAnchored(
            f"{mutant.name}: {mutant.file} has this text {count} times, not once; "
            f"correct `old` in tests/mutants:\n{mutant.old}"
        )
    return text.replace(mutant.old, mutant.new)
