"""`run`: ledger workers, gateways and projectors as supervised child processes of this machine.

Worker n has the worker id n, its own data folder and the n-th port; all share the
consumer group, so that partitions move when one ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ledger_streams.cli.mistakes import check_home, check_ports
from ledger_streams.local.supervisor import ChildSpec, Supervisor, Timing
from ledger_streams.settings import settings

LOG_LEVELS = ("CRIT", "ERROR", "WARN", "INFO", "DEBUG")

INTERRUPT_WAIT_S = 8.0
"""Somebody waits at the terminal: what has not ended by then is killed, which loses nothing."""


@click.command()
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=0), help="Ledger workers.")
@click.option("--gateways", default=1, show_default=True, type=click.IntRange(min=0), help="Gateways.")
@click.option("--projectors", default=1, show_default=True, type=click.IntRange(min=0), help="Projectors.")
@click.option(
    "--loglevel",
    "-l",
    default="INFO",
    show_default=True,
    envvar="LEDGER_LOG_LEVEL",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
)
@click.option(
    "--stop-wait", "stop_wait_s", default=30.0, show_default=True, help="Seconds to stop in, then killed."
)
def run(workers: int, gateways: int, projectors: int, loglevel: str, stop_wait_s: float) -> None:
    """Run workers, gateways and projectors on this machine, supervised.

    One that ends is started again, with back-off.  SIGTERM and Ctrl-C stop all; Ctrl-C waits 8 s at most,
    a second one not at all.
    Exit code 0 when all stopped by themselves, 1 when one had to be killed.
    """
    home, port = settings().home.absolute(), settings().http_port
    children = [
        *worker_specs(workers, home=home, http_port=port, loglevel=loglevel),
        *specs_behind("projector", projectors, home=home, first_port=port + workers, loglevel=loglevel),
        *specs_behind(
            "gateway", gateways, home=home, first_port=port + workers + projectors, loglevel=loglevel
        ),
    ]
    check_home(settings())
    with alone(home / "run"):
        owners = {port + number: child.name for number, child in enumerate(children)}
        check_ports(settings().http_host, owners)
        killed = asyncio.run(
            supervise(children, pid_folder=home / "run", timing=Timing(stop_wait_s=stop_wait_s))
        )
    sys.exit(1 if killed else 0)


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


def specs_behind(command: str, count: int, *, home: Path, first_port: int, loglevel: str) -> list[ChildSpec]:
    """Return the gateways or projectors 1 to `count`: health and metrics on the ports from `first_port`."""
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


async def supervise(children: list[ChildSpec], *, pid_folder: Path, timing: Timing) -> list[str]:
    """Run the children until SIGTERM or SIGINT; return the names of those that had to be killed."""
    supervisor = Supervisor(children, pid_folder=pid_folder, say=_say, timing=timing)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.stop, INTERRUPT_WAIT_S)
    return await supervisor.run()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock and its `run.pid`: two supervisors would share data folders and pid files."""
    folder.mkdir(parents=True, exist_ok=True)
    pid_file = folder / "run.pid"
    with pid_file.open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise click.ClickException(
                f"another `run` is at work here: pid {pid_file.read_text().strip()}"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
        lock.truncate(0)


def pid_of_run(home: Path) -> str | None:
    """Return the pid of the `run` that is at work below a folder; None if there is none."""
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


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
