"""`bench`: the benchmarks of the checkout that this package lies in.

They need the tests' stack and modules, which no installed package has.  So the command
only becomes `python -m benchmarks` with its own arguments; what they are is said there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="CASE [OPTIONS]...")
def bench(arguments: tuple[str, ...]) -> None:
    """Benchmarks, JSON out: a CASE, or all of them, on the tests' stack.

    Needs the project's checkout.  Without a CASE all are listed; CASE --help says what it takes.
    """
    checkout = checkout_of(Path(__file__))
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    # -P: a folder `benchmarks` where the caller stands is not ours
    command = [sys.executable, "-P", "-m", "benchmarks", *(arguments or ["--help"])]
    os.execve(sys.executable, command, environment)  # noqa: S606 (ourselves; Ctrl-C is the benchmark's to tidy up)


def checkout_of(module: Path) -> Path:
    """Return the folder with both this package and the benchmarks; ClickException if there is none."""
    root = module.resolve().parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise click.ClickException(f"the benchmarks need the project's checkout, and {root} is none")
    return root
