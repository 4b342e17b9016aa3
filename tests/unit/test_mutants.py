"""The lists of mutants: the anchor in the code and the tests of each exist."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import MUTANTS
from tests.mutants.copies import ROOT
from tests.mutants.mutant import Mutant, NotAnchored, mutated


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_names_tests_that_exist(mutant: Mutant) -> None:
    text = mutated(mutant, ROOT)
    assert text != (ROOT / mutant.file).read_text()
    if mutant.file.endswith(".py"):
        ast.parse(text)
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("[")[0].partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), f"{mutant.name}: there is no {test}"


@pytest.mark.parametrize("old", ["text that is not there", "import"])
def test_a_mutant_with_a_missing_or_ambiguous_anchor_is_named(old: str) -> None:
    lost = Mutant("lost", "Any.", "tests/unit/test_mutants.py", old + "\n" * (old != "import"), "", ())
    with pytest.raises(NotAnchored, match=r"lost: tests/unit/test_mutants.py has this text \d+ times"):
        mutated(lost, ROOT)
