"""The envelope of every result: case, time, commit, machine and settings.

It contains the settings that differ from their defaults, without addresses and names, which
do not affect the speed.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.case import CaseRun
from ledger_streams.settings import Settings
from tests.conftest import ROOT

PLACES: Final = (
    *("kafka", "postgres", "postgres_admin", "pgbouncer", "redis", "home", "data", "archive", "backups"),
    *("providers", "audit_key", "app_id", "topic_prefix", "worker_id", "http_host", "http_port"),
)
COMMIT_CHARACTERS: Final = 12


class Machine(msgspec.Struct):
    """The machine of a measurement."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    load_before: float
    """Load average of the last minute: above 0, other processes were running."""


class Result(msgspec.Struct):
    """The result of a case; `settings` has `ledger` (LEDGER_*) and the case's `options`."""

    case: str
    measured_at: str
    commit: str | None
    machine: Machine
    settings: dict[str, dict[str, Any]]
    figures: Any = None


def new_result(case: str) -> Result:
    """Return the envelope of a measurement that starts now."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Result(case, now, commit(ROOT), machine(), {})


def settings_document(given: CaseRun) -> dict[str, dict[str, Any]]:
    """Return the changed settings and the options of the run."""
    return {"ledger": changed_settings(given.settings), "options": vars(given.options)}


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Return `{variable: value}` of the settings that differ from their defaults."""
    fields = type(settings).model_fields
    values = settings.model_dump(mode="json", exclude=set(PLACES))
    return {
        f"LEDGER_{name.upper()}": value for name, value in values.items() if value != fields[name].default
    }


def commit(checkout: Path) -> str | None:
    """Return the commit, with `-dirty` if files differ from it; None outside of a git checkout."""
    asked = _git(checkout, "rev-parse", f"--short={COMMIT_CHARACTERS}", "HEAD")
    if asked is None:
        return None
    return f"{asked}-dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else asked


def machine() -> Machine:
    """Return the description of this machine."""
    processors = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", processors, re.MULTILINE)
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cpu=model[1] if model else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=memory_bytes // 2**20,
        kernel=platform.release(),
        load_before=round(os.getloadavg()[0], 2),
    )


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        asked = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
