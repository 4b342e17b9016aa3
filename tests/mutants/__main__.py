"""Tries mutants, one at a time; exit code 1 when one is not caught.

python -m tests.mutants [NAME ..] [--json FILE] [--list] [--unchecked]

First all named tests have to pass on a copy without a mutant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.mutants import MUTANTS
from tests.mutants.copies import ROOT, copied
from tests.mutants.mutant import Mutant, NotAnchored, mutated
from tests.mutants.trials import CHECK_S_MAX, PASSED, Trial, run_tests, tried


def main() -> int:
    """Try the mutants that are named, or all."""
    asked = _asked()
    chosen = _chosen(asked.names)
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.name:28} {mutant.rule}")
        return 0
    if lost := _not_anchored(chosen):
        print("\n".join(lost), file=sys.stderr)
        return 1
    if not asked.unchecked and not _passes_unchanged(chosen):
        return 1
    trials = []
    for mutant in chosen:
        trials.append(tried(mutant))
        _show(trials[-1])
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(trials_as_rows(trials)), indent=2))
    missed = [trial.name for trial in trials if trial.verdict != "caught"]
    print(f"{len(trials) - len(missed)} of {len(trials)} mutants were caught", *missed)
    return 1 if missed else 0


def trials_as_rows(trials: Sequence[Trial]) -> list[dict[str, object]]:
    """Return the trials as objects for JSON."""
    return [trial._asdict() for trial in trials]


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants to try (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table to a file")
    parser.add_argument("--list", action="store_true", help="list the mutants and try none")
    parser.add_argument(
        "--unchecked", action="store_true", help="do not run the tests on a copy without a mutant first"
    )
    return parser.parse_args()


def _chosen(names: Sequence[str]) -> Sequence[Mutant]:
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        sys.exit(f"no mutant is called {', '.join(sorted(unknown))}; --list names them")
    return [mutant for mutant in MUTANTS if not names or mutant.name in names]


def _not_anchored(mutants: Sequence[Mutant]) -> list[str]:
    """Return what is wrong with those whose place in the code is gone."""
    lost = []
    for mutant in mutants:
        try:
            mutated(mutant, ROOT)
        except NotAnchored as error:
            lost.append(str(error))
    return lost


def _passes_unchanged(mutants: Sequence[Mutant]) -> bool:
    """Run all their tests without a mutant: a test that fails by itself catches nothing."""
    tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    print(f"{len(tests)} tests on a copy without a mutant ..", flush=True)
    with copied() as root:
        run = run_tests(root, tests, seconds_max=CHECK_S_MAX)
    if run.exit_code != PASSED:
        print(
            run.output, "The tests do not pass without a mutant: nothing was tried", sep="\n", file=sys.stderr
        )
    return run.exit_code == PASSED


def _show(trial: Trial) -> None:
    print(
        f"{trial.verdict:8} {trial.name:28} {trial.seconds:6.1f} s  {trial.caught_by or trial.rule}",
        flush=True,
    )
    if trial.output:
        print(trial.output, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
