"""Runs all cases in their small size, each in a process of its own; JSON and SVG go into a folder.

A case that fails or exceeds its time leaves its log and no result; the other cases still
run.  Results of earlier runs are deleted first, so that the table has this run only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.case import Case
from benchmarks.table import missing, results_in

CASE_S_MAX: Final = 600
"""Maximum time of a case; the longest takes three minutes on two idle cores."""
TIDYING_S_MAX: Final = 60
"""Time for an interrupted case to stop its processes and drop its databases and topics."""


def run_all(cases: Iterable[Case], folder: Path, *, draws: bool = True) -> list[str]:
    """Run the cases; return one line per fault."""
    folder.mkdir(parents=True, exist_ok=True)
    cases, faults = list(cases), list[str]()
    for file in (folder / f"{case.name}.{ending}" for case in cases for ending in ("json", "svg")):
        file.unlink(missing_ok=True)
    for case in cases:
        began_s = time.monotonic()
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        fault = run_one(case, folder, draws=draws)
        took = f"{time.monotonic() - began_s:.0f} s"
        print(f"{case.name}: {fault or 'done'}, {took}", file=sys.stderr, flush=True)
        faults += [f"{case.name}: {fault}"] if fault else []
    return faults + missing(results_in(folder))


def run_one(case: Case, folder: Path, *, draws: bool, seconds_max: float = CASE_S_MAX) -> str:
    """Run one case; return its fault, or an empty string."""
    result, drawn, log = (folder / f"{case.name}.{ending}" for ending in ("json", "svg", "log"))
    plot = ["--plot", str(drawn)] if draws else []
    command = [sys.executable, "-m", "benchmarks", case.name, *case.small, *plot]
    unfinished = folder / f"{case.name}.json.part"
    with unfinished.open("wb") as output, log.open("wb") as errors:
        code = _exit_code(command, output.fileno(), errors.fileno(), seconds_max)
    if code != 0:
        unfinished.unlink()
        return f"{'did not end in time' if code is None else f'ended with {code}'}, see {log}"
    unfinished.rename(result)
    log.unlink()
    return ""


def _exit_code(command: list[str], output: int, errors: int, seconds_max: float) -> int | None:
    """Return the exit code; None if the process had to be stopped, together with its children."""
    with subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True) as child:
        try:
            return child.wait(seconds_max)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(TIDYING_S_MAX)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
            if isinstance(stopped, KeyboardInterrupt):
                raise
            return None
