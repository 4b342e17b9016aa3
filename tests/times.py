"""`python -m tests.times FILE...`: the slowest tests and files in reports of pytest (`--junitxml`)."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

SLOWEST = 20


def main(reports: Sequence[str]) -> None:
    """Print how long the slowest took, their fixtures included."""
    if not reports:
        sys.exit("There is no report yet: run `make test` or `make test-slow` first")
    tests: defaultdict[str, float] = defaultdict(float)
    files: defaultdict[str, float] = defaultdict(float)
    for report in reports:
        for file, name, seconds in times(Path(report)):
            tests[f"{file}::{name}"] += seconds
            files[file] += seconds
    for title, found in (("tests", tests), ("files", files)):
        print(f"The slowest {title} of {len(found)}, {sum(found.values()):.0f} s in all:")
        for name, seconds in sorted(found.items(), key=lambda one: -one[1])[:SLOWEST]:
            print(f"{seconds:8.1f} s  {name}")


def times(report: Path) -> Iterator[tuple[str, str, float]]:
    """Yield file, test and seconds; what a module's fixture took counts for its first test."""
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.attrib["classname"].replace(".", "/") + ".py"
        yield file, case.attrib["name"], float(case.attrib["time"])


if __name__ == "__main__":
    main(sys.argv[1:])
