"""`run`: ledger workers, gateways and projectors as supervised child processes.

Worker n has worker id n, a data folder of its own and the n-th port.  All workers share
a consumer group: when one ends, its partitions move to the others.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click

from ledger_streams.cli.mistakes import check_home, check_ports
from ledger_streams.local.processes import headless_specs, run_lock, worker_specs
from ledger_streams.local.supervisor import ChildSpec, Supervisor, Timing
from ledger_streams.settings import settings

LOG_LEVELS = ("CRIT", "ERROR", "WARN", "INFO", "DEBUG")

INTERRUPT_WAIT_S = 8.0
"""Maximum time to stop after Ctrl-C.  A process that is killed then loses no data."""


@click.command()
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(min=0), help="Number of ledger workers."
)
@click.option(
    "--gateways", default=1, show_default=True, type=click.IntRange(min=0), help="Number of gateways."
)
@click.option(
    "--projectors", default=1, show_default=True, type=click.IntRange(min=0), help="Number of projectors."
)
@click.option(
    "--loglevel",
    "-l",
    default="INFO",
    show_default=True,
    envvar="LEDGER_LOG_LEVEL",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
)
@click.option(
    "--stop-wait",
    "stop_wait_s",
    default=30.0,
    show_default=True,
    help="Seconds to wait for processes to stop before killing them.",
)
def run(workers: int, gateways: int, projectors: int, loglevel: str, stop_wait_s: float) -> None:
    """Run workers, gateways and projectors on this machine under a supervisor.

    A process that ends is restarted with back-off. SIGTERM and Ctrl-C stop all; after Ctrl-C they have
    8 s, after a second Ctrl-C they are killed at once.
    Exit code 0 if all stopped by themselves, 1 if one had to be killed.
    """
    home, port = settings().home.absolute(), settings().http_port
    children = [
        *worker_specs(workers, home=home, http_port=port, loglevel=loglevel),
        *headless_specs("projector", projectors, home=home, first_port=port + workers, loglevel=loglevel),
        *headless_specs(
            "gateway", gateways, home=home, first_port=port + workers + projectors, loglevel=loglevel
        ),
    ]
    check_home(settings())
    with run_lock(home / "run"):
        owners = {port + number: child.name for number, child in enumerate(children)}
        check_ports(settings().http_host, owners)
        killed = asyncio.run(
            supervise(children, pid_folder=home / "run", timing=Timing(stop_wait_s=stop_wait_s))
        )
    sys.exit(1 if killed else 0)


async def supervise(children: list[ChildSpec], *, pid_folder: Path, timing: Timing) -> list[str]:
    """Run the children until SIGTERM or SIGINT; return the names of those that had to be killed."""
    supervisor = Supervisor(children, pid_folder=pid_folder, say=_say, timing=timing)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.stop, INTERRUPT_WAIT_S)
    return await supervisor.run()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
