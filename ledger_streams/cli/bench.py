"""`bench`: runs `python -m benchmarks` of the checkout that contains this package.

The benchmarks need the tests' stack and modules, which an installed package does not
have.  The command passes its arguments on unread; `benchmarks/__main__.py` parses them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="CASE [OPTIONS]...")
def bench(arguments: tuple[str, ...]) -> None:
    """Run a benchmark CASE, or `all`, on the tests' stack; prints JSON.

    Needs a checkout of the project.  Without a CASE it lists the cases; CASE --help shows the options.
    """
    checkout = checkout_of(Path(__file__))
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    # -P: do not import a folder `benchmarks` from the working directory
    command = [sys.executable, "-P", "-m", "benchmarks", *(arguments or ["--help"])]
    os.execve(sys.executable, command, environment)  # noqa: S606 (our own program; exec, so that Ctrl-C reaches the benchmark, which cleans up)


def checkout_of(module: Path) -> Path:
    """Return the folder with this package and the benchmarks; raises ClickException if there is none."""
    root = module.resolve().parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise click.ClickException(f"the benchmarks need a checkout of the project, and {root} is not one")
    return root
