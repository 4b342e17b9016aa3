"""The supervisor with real child processes that the tests kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import pytest

from ledger_streams.local.processes import headless_specs, run_lock, worker_specs
from ledger_streams.local.supervisor import ChildSpec, Supervisor, Timing, next_backoff_s
from tests.live import eventually

T = TypeVar("T")
FAST = Timing(backoff_first_s=0.05, backoff_max_s=0.2, stop_wait_s=5.0)
SLEEPS = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS
SUPERVISES = """
import asyncio, sys
from pathlib import Path
from ledger_streams.local.supervisor import ChildSpec, Supervisor
child = ChildSpec("child", (sys.executable, "-c", "import time; time.sleep(600)"), {})
asyncio.run(Supervisor([child], pid_folder=Path(sys.argv[1]), say=print).run())
"""


def python(name: str, code: str) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", code), {})


class Running:
    """A supervisor at work, its lines, and the pids it wrote."""

    def __init__(self, folder: Path, *children: ChildSpec, timing: Timing = FAST) -> None:
        self.lines: list[str] = []
        self.folder = folder
        self.supervisor = Supervisor(children, pid_folder=folder, say=self.lines.append, timing=timing)
        self.task = asyncio.create_task(self.supervisor.run())

    async def said(self, line: str, *, times: int = 1) -> None:
        async def is_said() -> bool:
            return sum(line in said for said in self.lines) >= times

        await eventually(is_said, what=f"{line} x {times} in {self.lines}", seconds=20)

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def pid_files(self) -> list[Path]:
        return list(self.folder.glob("*.pid"))

    async def stop(self) -> list[str]:
        self.supervisor.stop()
        return await self.task


def is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_child_that_is_killed_is_restarted(tmp_path: Path) -> None:
    running = Running(tmp_path, python("child", SLEEPS))
    await running.said("child | here")
    first = running.pid("child")
    os.kill(first, signal.SIGKILL)
    await running.said("child | here", times=2)
    assert running.pid("child") != first
    assert any("ended by SIGKILL; restarting it in 0.05 s" in line for line in running.lines)
    assert await running.stop() == []
    assert running.pid_files() == []


async def test_the_back_off_doubles_up_to_its_maximum(tmp_path: Path) -> None:
    running = Running(tmp_path, python("child", "raise SystemExit(3)"))
    await running.said("exit code 3", times=4)
    await running.stop()
    waits = [line.rpartition(" in ")[2] for line in running.lines if "exit code 3" in line]
    assert waits[:4] == ["0.05 s", "0.1 s", "0.2 s", "0.2 s"]


async def test_the_back_off_is_reset_after_a_child_that_ran_long_enough(tmp_path: Path) -> None:
    timing = Timing(backoff_first_s=0.05, backoff_max_s=30, alive_long_enough_s=0.0)
    running = Running(tmp_path, python("child", "raise SystemExit(3)"), timing=timing)
    await running.said("restarting it in 0.05 s", times=3)
    await running.stop()


async def test_a_child_that_does_not_stop_is_killed_and_named(tmp_path: Path) -> None:
    timing = Timing(backoff_first_s=0.05, backoff_max_s=0.2, stop_wait_s=0.3)
    running = Running(tmp_path, python("stubborn", STUBBORN), python("child", SLEEPS), timing=timing)
    await running.said("stubborn | here")
    await running.said("child | here")
    assert await running.stop() == ["stubborn"]


async def test_output_is_relayed_whole_lines_prefixed_however_long(tmp_path: Path) -> None:
    running = Running(
        tmp_path, python("child", "import sys; print('x' * 200_000); sys.stderr.write('no end')")
    )
    await running.said("child | no end")
    await running.stop()
    assert f"child | {'x' * 200_000}" in running.lines


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISES, str(tmp_path)], stdout=subprocess.PIPE)
    pid_file = tmp_path / "child.pid"
    child = until(lambda: read_pid(pid_file), what="a child")
    assert is_alive(child)
    supervisor.kill()
    supervisor.communicate()
    until(lambda: not is_alive(child), what="the end of the child")


def read_pid(path: Path) -> int | None:
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else None


def until(ask: Callable[[], T | None], *, what: str) -> T:
    async def asked() -> T | None:
        return ask()

    return asyncio.run(eventually(asked, what=what, seconds=20))


def test_next_back_off_is_doubled_and_bounded() -> None:
    waits = [1.0]
    while len(waits) < 7:
        waits.append(next_backoff_s(waits[-1]))
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_workers_gateways_and_projectors_have_ids_and_ports_of_their_own(tmp_path: Path) -> None:
    workers = worker_specs(2, home=tmp_path, http_port=6066, loglevel="INFO")
    assert [spec.name for spec in workers] == ["worker-1", "worker-2"]
    assert [spec.environment["LEDGER_HTTP_PORT"] for spec in workers] == ["6066", "6067"]
    assert [spec.environment["LEDGER_WORKER_ID"] for spec in workers] == ["1", "2"]
    for command in ("projector", "gateway"):
        (behind,) = headless_specs(command, 1, home=tmp_path, first_port=7000, loglevel="INFO")
        assert behind.command[-4:] == (command, "-l", "info", "--with-web")
        assert behind.environment["LEDGER_HTTP_PORT"] == "7000"
        assert behind.environment["LEDGER_WORKER_ID"] == f"{command}-1"


def test_two_runs_in_one_home_are_refused(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path),
        pytest.raises(click.ClickException, match=f"pid {os.getpid()}"),
        run_lock(tmp_path),
    ):
        pytest.fail("the second was let in")
