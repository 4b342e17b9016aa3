"""The envelope that every result has: what was measured, when, of which commit, on what machine, how set.

Of the settings only those are told that differ from the defaults, without addresses and names:
they say where a system is, not how fast.
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
    """What it was measured on."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    load_before: float
    """Of the last minute: above nothing, there was somebody else."""


class Result(msgspec.Struct):
    """One case, measured; `settings` has `ledger` (LEDGER_*) and the case's `options`."""

    case: str
    measured_at: str
    commit: str | None
    machine: Machine
    settings: dict[str, dict[str, Any]]
    figures: Any = None


def new_result(case: str) -> Result:
    """Return the envelope of what begins now."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Result(case, now, commit(ROOT), machine(), {})


def settings_document(given: CaseRun) -> dict[str, dict[str, Any]]:
    """Return the settings that matter."""
    return {"ledger": changed_settings(given.settings), "options": vars(given.options)}


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Return by variable what is not as it comes."""
    fields = type(settings).model_fields
    values = settings.model_dump(mode="json", exclude=set(PLACES))
    return {
        f"LEDGER_{name.upper()}": value for name, value in values.items() if value != fields[name].default
    }


def commit(checkout: Path) -> str | None:
    """Return the commit, with `-dirty` if files differ from it; None of what is no checkout of git."""
    asked = _git(checkout, "rev-parse", f"--short={COMMIT_CHARACTERS}", "HEAD")
    if asked is None:
        return None
    return f"{asked}-dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else asked


def machine() -> Machine:
    """Look at this machine."""
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
