"""Trials: pytest on a copy, and its verdict on the mutant."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tests.mutants.copies import copied, environment
from tests.mutants.mutant import Mutant

TEST_S_MAX: Final = 120
"""Of one test; a mutant may make it wait for ever, which is a failure like another."""
TRIAL_S_MAX: Final = 300
CHECK_S_MAX: Final = 1_800
"""Of all tests on the copy without a mutant."""
PASSED, FAILED = 0, 1
"""Exit codes of pytest after it ran the tests; any other code means that it could not run them."""

Verdict = Literal["caught", "survived", "unclear"]

_failed_test: Final = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE).search


class Trial(NamedTuple):
    """The result of a mutant's trial."""

    name: str
    rule: str
    verdict: Verdict
    caught_by: str | None
    """The test that failed."""
    seconds: float
    output: str
    """The end of pytest's output, unless the mutant was caught."""


class Run(NamedTuple):
    """One run of pytest."""

    exit_code: int | None
    """None: it was ended at the time limit."""
    output: str


def tried(mutant: Mutant) -> Trial:
    """Run the mutant's tests on a copy that it has changed; raises NotAnchored, WrongCopy."""
    began_s = time.monotonic()
    with copied(mutant) as root:
        run = run_tests(root, mutant.tests, seconds_max=TRIAL_S_MAX)
    seconds = round(time.monotonic() - began_s, 1)
    failed = _failed_test(run.output)
    if run.exit_code == FAILED and failed is not None:
        return Trial(mutant.name, mutant.rule, "caught", failed[1], seconds, "")
    verdict: Verdict = "survived" if run.exit_code == PASSED else "unclear"
    return Trial(mutant.name, mutant.rule, verdict, None, seconds, run.output[-4_000:])


def run_tests(root: Path, tests: Sequence[str], *, seconds_max: float) -> Run:
    """Run tests in a copy, up to the first that fails, and end whatever they have started."""
    options = (
        "-q",
        "-x",
        "-rf",
        "--tb=short",
        "--color=no",
        "-p",
        "no:cacheprovider",
        f"--timeout={TEST_S_MAX}",
    )
    command = [sys.executable, "-m", "pytest", *options, *tests]
    child = subprocess.Popen(
        command,
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        return Run(None, f"{output}\nended after {seconds_max:.0f} s")
    return Run(child.returncode, output)
