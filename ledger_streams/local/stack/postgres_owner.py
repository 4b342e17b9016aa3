"""The user that runs PostgreSQL and owns its files: `postgres` if this process is root, else its own user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.install import is_root

SUPERUSER: Final = "postgres"


def owner() -> str | None:
    """Return the user that root switches to; None if this process is not root."""
    return SUPERUSER if is_root() else None


def as_owner() -> list[str]:
    """Return the prefix that runs a command as the owner."""
    name = owner()
    if name is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Unavailable(
            dependency="postgres", detail="program setpriv not found: install it (Debian package util-linux)"
        )
    return [setpriv, f"--reuid={name}", f"--regid={name}", "--init-groups"]


def give_to_owner(path: Path) -> None:
    """Make the server's user the owner of the path."""
    name = owner()
    if name is not None:
        entry = pwd.getpwnam(name)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def reachable(folder: Path) -> bool:
    """Return whether the server's user can enter a folder."""
    test = [*as_owner(), "/usr/bin/test", "-x", str(folder)]
    return subprocess.run(test, check=False).returncode == 0  # noqa: S603  literals and our own path
