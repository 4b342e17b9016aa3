"""All benchmark cases, in the order of `all`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.case import Case
from benchmarks.suite_databases import DATABASE_CASES
from benchmarks.suite_payments import PAYMENT_CASES
from benchmarks.suite_tables import TABLE_CASES

CASES: Final[Mapping[str, Case]] = {
    case.name: case for case in (*PAYMENT_CASES, *TABLE_CASES, *DATABASE_CASES)
}
