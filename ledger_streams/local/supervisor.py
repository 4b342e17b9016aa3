"""Supervisor: restarts child processes that end, until it is told to stop.

The back-off before a restart doubles from 1 s to 30 s, and is reset once a child has run
for a minute.  Each child has a session of its own, so that Ctrl-C reaches the supervisor
only, which then stops the children.  The kernel kills a child when the supervisor ends in
any way (PR_SET_PDEATHSIG).  Each child has a pid file.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0
ALIVE_LONG_ENOUGH_S: Final = 60.0
"""A child that ran this long has started well: its next end resets the back-off."""
STOP_WAIT_S: Final = 30.0
"""Time for a child to finish a cycle and leave the consumer group before it is killed."""
_PR_SET_PDEATHSIG: Final = 1
_CHUNK_BYTES: Final = 65_536


class ChildSpec(msgspec.Struct, frozen=True):
    """A process to supervise; `name` prefixes its output and names its pid file."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


class Timing(msgspec.Struct, frozen=True):
    """The supervisor's durations."""

    backoff_first_s: float = BACKOFF_FIRST_S
    backoff_max_s: float = BACKOFF_MAX_S
    alive_long_enough_s: float = ALIVE_LONG_ENOUGH_S
    stop_wait_s: float = STOP_WAIT_S


class Supervisor:
    """Runs children until `stop`; `say` gets each whole line of their output, with the name before it."""

    def __init__(
        self,
        children: Sequence[ChildSpec],
        *,
        pid_folder: Path,
        say: Callable[[str], None],
        timing: Timing | None = None,
    ) -> None:
        self._children = children
        self._pid_folder = pid_folder
        self._say = say
        self._timing = timing or Timing()
        self._stopping = asyncio.Event()
        self._impatient = asyncio.Event()
        self._stop_wait_s = self._timing.stop_wait_s
        self._killed: list[str] = []

    def stop(self, within_s: float | None = None) -> None:
        """Stop all children within `within_s` and restart none; a second call kills them."""
        if self._stopping.is_set():
            self._impatient.set()
        if within_s is not None:
            self._stop_wait_s = min(self._stop_wait_s, within_s)
        self._stopping.set()

    async def run(self) -> list[str]:
        """Supervise the children until `stop`; return the names of those that had to be killed."""
        self._pid_folder.mkdir(parents=True, exist_ok=True)
        await asyncio.gather(*(self._keep_alive(child) for child in self._children))
        return self._killed

    async def _keep_alive(self, child: ChildSpec) -> None:
        wait_s = self._timing.backoff_first_s
        while not self._stopping.is_set():
            started_s = time.monotonic()
            code = await self._run_once(child)
            if self._stopping.is_set():
                return
            if time.monotonic() - started_s >= self._timing.alive_long_enough_s:
                wait_s = self._timing.backoff_first_s
            self._say(f"{child.name} | {_exit_text(code)}; restarting it in {wait_s:g} s")
            await self._stopping_within(wait_s)
            wait_s = next_backoff_s(wait_s, max_s=self._timing.backoff_max_s)

    async def _run_once(self, child: ChildSpec) -> int:
        running = await asyncio.create_subprocess_exec(
            *child.command,
            env={**os.environ, **child.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with(os.getpid()),
        )
        pid_file = self._pid_folder / f"{child.name}.pid"
        pid_file.write_text(f"{running.pid}\n", encoding="ascii")
        self._say(f"{child.name} | started, pid {running.pid}")
        output = asyncio.create_task(self._relay(child.name, running))
        code = await self._until_ended(child.name, running)
        pid_file.unlink(missing_ok=True)
        await _at_most(output, seconds=1.0)
        return code

    async def _until_ended(self, name: str, running: asyncio.subprocess.Process) -> int:
        """Wait for the process to end; once stopping, send SIGTERM, and SIGKILL after the wait."""
        ended, stopping = asyncio.create_task(running.wait()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            running.send_signal(signal.SIGTERM)
            impatient = asyncio.create_task(self._impatient.wait())
            await asyncio.wait(
                {ended, impatient}, timeout=self._stop_wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            impatient.cancel()
        if not ended.done():
            self._killed.append(name)
            self._say(f"{name} | did not stop within {self._stop_wait_s:g} s; killing it")
            running.kill()
        return await ended

    async def _relay(self, name: str, running: asyncio.subprocess.Process) -> None:
        """Pass the output on line by line; lines may have any length."""
        assert running.stdout is not None
        rest = b""
        while chunk := await running.stdout.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._say(f"{name} | {line.decode(errors='replace')}")
        if rest:
            self._say(f"{name} | {rest.decode(errors='replace')}")

    async def _stopping_within(self, seconds: float) -> None:
        waiting = asyncio.create_task(self._stopping.wait())
        await _at_most(waiting, seconds=seconds)


def next_backoff_s(wait_s: float, *, max_s: float = BACKOFF_MAX_S) -> float:
    """Return the next back-off after `wait_s`."""
    return min(wait_s * 2, max_s)


async def _at_most(task: asyncio.Task[object] | asyncio.Task[None], *, seconds: float) -> None:
    """Wait for the task for at most `seconds`, then cancel it."""
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()


def _exit_text(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def dies_with(parent_pid: int, *, by: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return a preexec_fn that has the kernel signal the child when its parent ends."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def before_exec() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, by)
            if os.getppid() != parent_pid:  # the parent ended between fork and prctl
                os._exit(1)

    return before_exec
