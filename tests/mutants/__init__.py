"""Mutants: rules of this system, each broken by one small change that a test has to catch.

python -m tests.mutants [NAME ..] [--json FILE]

A mutant is a line of logic replaced in a copy of the sources; the tests named beside it run on that
copy.  A mutant that survives shows a rule that no test holds.  The lists are `engine`, `domain`, `edges`.
"""

from __future__ import annotations

from tests.mutants.domain import DOMAIN
from tests.mutants.edges import EDGES
from tests.mutants.engine import ENGINE

MUTANTS = (*ENGINE, *DOMAIN, *EDGES)
