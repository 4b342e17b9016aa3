"""Copies of the repository in which a mutant lives: the working tree is never changed.

pytest runs inside the copy with PYTHONPATH set to it, so that the processes which tests start import
the copy as well, and not what is installed.  The stack of the tests is that of the working tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final

from tests.mutants.mutant import Mutant, mutated

ROOT: Final = Path(__file__).resolve().parents[2]
LINKED: Final = (".ledger", ".venv")
"""The stack's servers and the installed packages: too large to be copied, and not mutated."""
LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", *LINKED, ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"
)
WHERE: Final = (
    "import agents, ledger_streams, tables, web, tests; print(ledger_streams.__file__, tests.__file__)"
)


class WrongCopy(Exception):
    """Python imports other sources than those of the copy."""


@contextmanager
def copied(mutant: Mutant | None = None) -> Iterator[Path]:
    """Give a copy of the repository, changed by the mutant; raises NotAnchored, WrongCopy."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder).resolve() / "copy"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        for name in LINKED:
            if (ROOT / name).exists():
                (root / name).symlink_to((ROOT / name).resolve())
        if mutant is not None:
            path = root / mutant.file
            path.write_text(mutated(mutant, root))
            Path(cache_from_source(str(path))).unlink(missing_ok=True)  # of the original
        _check_imports(root)
        yield root


def environment(root: Path) -> dict[str, str]:
    """Return the environment in which the copy is what Python imports."""
    return os.environ | {"PYTHONPATH": str(root)}


def _check_imports(root: Path) -> None:
    """Import from another folder, as a process that a test starts there would; raises WrongCopy."""
    command = [sys.executable, "-c", WHERE]
    found = subprocess.run(
        command, cwd=root.parent, env=environment(root), capture_output=True, text=True, check=False
    )
    paths = found.stdout.split()
    if found.returncode or not all(Path(path).is_relative_to(root) for path in paths):
        raise WrongCopy(f"not imported from {root}: {found.stdout} {found.stderr}")
