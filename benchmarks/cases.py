"""The cases of the benchmarks, in the order in which all are run; one more is one more entry of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.case import Case
from benchmarks.suite_databases import OF_DATABASES
from benchmarks.suite_payments import OF_PAYMENTS
from benchmarks.suite_tables import OF_TABLES

CASES: Final[Mapping[str, Case]] = {case.name: case for case in (*OF_PAYMENTS, *OF_TABLES, *OF_DATABASES)}
