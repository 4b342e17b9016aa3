"""The child processes of `run`, and the lock that prevents a second `run` in the same home."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ledger_streams.local.supervisor import ChildSpec


def worker_specs(count: int, *, home: Path, http_port: int, loglevel: str) -> list[ChildSpec]:
    """Return the ledger workers 1 to `count` on ports `http_port` and up."""
    return [
        ChildSpec(
            name=f"worker-{n}",
            command=_command("worker", loglevel),
            environment=_environment(str(n), home) | {"LEDGER_HTTP_PORT": str(http_port + n - 1)},
        )
        for n in range(1, count + 1)
    ]


def headless_specs(
    command: str, count: int, *, home: Path, first_port: int, loglevel: str
) -> list[ChildSpec]:
    """Return the gateways or projectors 1 to `count`, with health and metrics from `first_port` up."""
    return [
        ChildSpec(
            name=f"{command}-{n}",
            command=(*_command(command, loglevel), "--with-web"),
            environment=_environment(f"{command}-{n}", home) | {"LEDGER_HTTP_PORT": str(first_port + n - 1)},
        )
        for n in range(1, count + 1)
    ]


def _command(command: str, loglevel: str) -> tuple[str, ...]:
    return sys.executable, "-m", "ledger_streams", command, "-l", loglevel.lower()


def _environment(worker_id: str, home: Path) -> dict[str, str]:
    return {"LEDGER_WORKER_ID": worker_id, "LEDGER_HOME": str(home), "PYTHONUNBUFFERED": "1"}


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock on the folder's `run.pid`; raises ClickException if another `run` has it.

    Two supervisors in one home would share data folders and pid files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pid_file = folder / "run.pid"
    with pid_file.open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise click.ClickException(
                f"another `ledger-streams run` uses {folder.parent} (pid {pid_file.read_text().strip()}): "
                "stop it, or set another LEDGER_HOME"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
        lock.truncate(0)


def run_pid(home: Path) -> str | None:
    """Return the pid of the `run` that uses this home; None if there is none."""
    pid_file = home / "run" / "run.pid"
    try:
        with pid_file.open("r", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read().strip()
    except OSError:
        return None
    return None
