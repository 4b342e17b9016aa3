"""Daemon: a detached process in a session of its own, identified by its pid file.

The kernel reuses pids, so the pid file also has the process's start time in clock ticks
and the boot id.  Only a process with the same three values is ours.  Linux only, since it
reads /proc.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
POLL_S: Final = 0.05
LOG_TAIL_BYTES: Final = 2_000
"""Size of the end of a log that contains the reason why a server ended."""


def start(folder: Path, command: list[str]) -> int:
    """Start `command` (its first word an absolute path), logging to `folder`/log; return its pid."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    files = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    try:
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=files, setsid=True)
    finally:
        os.close(log)
        os.close(nothing)
    draft = folder / "pid.new"
    draft.write_text(f"{pid} {_identity(pid)}\n")
    draft.rename(folder / "pid")
    return pid


def running_pid(folder: Path) -> int | None:
    """Return the pid of the daemon of `folder`; None if that process is not alive."""
    try:
        pid_text, _, identity = (folder / "pid").read_text().strip().partition(" ")
    except FileNotFoundError:
        return None
    pid = int(pid_text)
    return pid if identity and identity == _identity(pid) else None


def ask_to_stop(folder: Path, stop_signal: signal.Signals) -> bool:
    """Send the stop signal; return False if the daemon is not running."""
    pid = running_pid(folder)
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, stop_signal)
    return True


def wait_for_end(folder: Path, *, patience_s: float) -> bool:
    """Wait for the daemon to end, kill it after `patience_s`; return True if it ended by itself."""
    deadline = time.monotonic() + patience_s
    while (pid := running_pid(folder)) is not None and time.monotonic() < deadline:
        time.sleep(POLL_S)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        while running_pid(folder) is not None:
            time.sleep(POLL_S)
    (folder / "pid").unlink(missing_ok=True)
    return pid is None


def log_tail(folder: Path) -> str:
    """Return the end of the daemon's log."""
    try:
        return (folder / "log").read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _identity(pid: int) -> str:
    """Return start time and boot id, which identify the process beside its pid; "" if it has ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # reap it if it is our own child: it would stay a zombie
    try:
        # The name in parentheses may contain spaces; the first field after it is the state.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, start_ticks = fields[0], fields[19]
    return "" if state in "ZX" else f"{start_ticks} {BOOT_ID.read_text().strip()}"
