"""A test's own stacks: removing one removes all its files."""

from __future__ import annotations

import shutil
from pathlib import Path

from ledger_streams.local.stack.postgres import fallback_folder


def remove_stack(home: Path) -> None:
    """Remove a stack that is down, and the data that PostgreSQL's user could not have reached in it."""
    shutil.rmtree(fallback_folder(home.resolve() / "stack" / "postgres"), ignore_errors=True)
    shutil.rmtree(home)
