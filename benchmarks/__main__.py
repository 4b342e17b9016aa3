"""The benchmarks on the tests' stack; JSON to stdout.

`CASE --help` lists the options of a case.  `all` runs every case in its small size and
prints the table of results; `table` prints the table of a folder of results.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.case import Case, CaseRun
from benchmarks.cases import CASES
from benchmarks.charts import ENDINGS, chart_writer
from benchmarks.envelope import Result, new_result, settings_document
from benchmarks.run_all import run_all
from benchmarks.table import results_in, table
from ledger_streams.local.stack import up
from tests.conftest import ROOT, stack_settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit 1 if a case of `all` has failed."""
    given = vars(parser().parse_args(arguments))
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a background process of a shell ignores SIGINT otherwise
    verb = given.pop("case")
    os.chdir(ROOT)  # the child processes find their modules there
    if verb == "table":
        print(table(results_in(given["folder"])))
    elif verb == "all":
        draws = not given["no_plots"]
        if draws:
            chart_writer()  # fail now if matplotlib is missing
        faults = run_all(CASES.values(), given["folder"], draws=draws)
        print(table(results_in(given["folder"])))
        sys.exit("\n".join(faults) or 0)
    else:
        measure(CASES[verb], plot=given.pop("plot"), options=given)


def measure(case: Case, *, plot: Path | None, options: dict[str, Any]) -> None:
    """Run a case, print its result, and draw it if `plot` names a file."""
    save = chart_writer() if plot else None
    up(stack_settings(), say=lambda line: None)
    result = asyncio.run(run_case(case, CaseRun(argparse.Namespace(**options))))
    encoded = msgspec.json.encode(result)
    print(msgspec.json.format(encoded).decode())
    if save and plot:
        title = f"{case.name}: {case.about}"
        save(msgspec.json.decode(encoded)["figures"], case.chart, title, plot)


async def run_case(case: Case, given: CaseRun) -> Result:
    """Return the case's result."""
    result = new_result(case.name)
    result.figures = await case.run(given)
    result.settings = settings_document(given)
    return result


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line: one verb per case, `all` and `table`."""
    whole = argparse.ArgumentParser(prog="ledger-streams bench", description=__doc__)
    verbs = whole.add_subparsers(dest="case", metavar="CASE", required=True)
    for case in CASES.values():
        one = verbs.add_parser(case.name, help=case.about, description=case.about)
        for option in case.options:
            option.add_to(one)
        one.add_argument(
            "--plot", type=picture, metavar="FILE", help="draw the figures into FILE (.svg or .png)"
        )
    for verb, about in (
        ("all", "run all cases in their small size, results into FOLDER"),
        ("table", "print the table of the results in FOLDER"),
    ):
        one = verbs.add_parser(verb, help=about, description=about)
        one.add_argument("folder", type=absolute)
        if verb == "all":
            one.add_argument("--no-plots", action="store_true", help="write JSON only")
    return whole


def picture(text: str) -> Path:
    """Return the path of a picture; raises ArgumentTypeError for another ending."""
    file = absolute(text)
    if file.suffix not in ENDINGS:
        raise argparse.ArgumentTypeError(f"must end in {' or '.join(ENDINGS)}, got {text[:200]!r}")
    return file


def absolute(text: str) -> Path:
    """Return the absolute path, since the process changes its working directory."""
    return Path(text).absolute()


if __name__ == "__main__":
    main()
