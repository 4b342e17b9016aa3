"""`demo`: the whole system on the local stack, by the commands that a user would type.

stack up -> topics apply -> db upgrade -> run --workers 2 -> import -> balances over HTTP
-> reconcile.  It then runs until Ctrl-C.  With DEMO_EXIT=1 it stops everything that it
has started and exits with reconcile's exit code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from ledger_streams.cli import INTERRUPTED
from ledger_streams.cli.http import get, get_document
from ledger_streams.cli.mistakes import check_home, check_ports
from ledger_streams.cli.output import table
from ledger_streams.importer.import_file import read_file
from ledger_streams.local.demo_bank import write_transactions
from ledger_streams.local.supervisor import dies_with
from ledger_streams.settings import Settings, settings

WORKERS: Final = 2
PROCESSES: Final = WORKERS + 2
"""The workers, a projector and a gateway; each has an HTTP port."""
READY_S_MAX: Final = 120.0
STOP_S_MAX: Final = 60.0
LOOK_EVERY_S: Final = 0.5
REAL_FILE: Final = "bank-transactions-1993.csv.gz"
WALLETS_SHOWN: Final = 5
LOG_LINES_SHOWN: Final = 30


@click.command()
@click.option(
    "--exit/--stay",
    "exits",
    default=None,
    help="Exit at the end, or keep running until Ctrl-C.  [default: by DEMO_EXIT]",
)
def demo(exits: bool | None) -> None:
    """Import a bank's transactions as payments, show balances, and reconcile them to the minor unit.

    Starts the local stack if it is down, and two workers. With --exit it stops them again at the end.
    """
    config = settings()
    stays = os.environ.get("DEMO_EXIT", "") in ("", "0") if exits is None else not exits
    check_home(config)
    check_ports(
        config.http_host, {config.http_port + n: f"process {n + 1} of `run`" for n in range(PROCESSES)}
    )
    stack_was_up = _ledger_streams("stack", "status", quiet=True) == 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = INTERRUPTED
    try:
        stack_was_up = _ledger_streams("stack", "status", quiet=True) == 0
        _prepare()
        with _workers(config) as running:
            code = _main_job(config)
            _where_to_look(config, stays=stays)
            if stays:
                _until_stopped(running)
    except KeyboardInterrupt:
        click.echo("\nInterrupted." if code == INTERRUPTED else "\nStopped.")
    finally:
        if not stays and not stack_was_up:
            _ledger_streams("stack", "down")
    sys.exit(code)


def _prepare() -> None:
    for arguments in (("stack", "up"), ("topics", "apply"), ("db", "upgrade")):
        _step(*arguments)
        if _ledger_streams(*arguments) != 0:
            raise click.ClickException(f"`ledger-streams {' '.join(arguments)}` failed; its output is above")


def _main_job(config: Settings) -> int:
    """Import, show, reconcile; return the exit code of reconcile, else of the import."""
    file = _transactions(config)
    _step("import", str(file), "--overdraft", "unlimited")
    code = _ledger_streams("import", str(file), "--overdraft", "unlimited")
    content = read_file(file, currency="CZK")
    wallet_ids = list(content.accounts)[:WALLETS_SHOWN]
    _show_balances(config, wallet_ids)
    _step("wallets", "show", wallet_ids[0])
    _ledger_streams("wallets", "show", wallet_ids[0], "--url", worker_url(config, 1))
    _step("payments", "show", content.rows[0].payment_id)
    _ledger_streams("payments", "show", content.rows[0].payment_id, "--url", worker_url(config, 1))
    _step("reconcile")
    return _ledger_streams("reconcile") or code


def _transactions(config: Settings) -> Path:
    real = config.data / REAL_FILE
    if real.is_file():
        return real
    made_up = config.home / "run" / "demo-transactions.csv.gz"
    click.echo(f"\nNo file {real} (see LEDGER_DATA): importing generated transactions instead.")
    write_transactions(made_up)
    return made_up


def _show_balances(config: Settings, wallet_ids: list[str]) -> None:
    """Ask the two workers in turn: each can answer for every wallet."""
    rows = []
    for number, wallet_id in enumerate(wallet_ids):
        path = f"/v1/wallets/{wallet_id}/balance"
        document = get_document(worker_url(config, 1 + number % WORKERS), path)
        amounts = [f"{entry['balance']} {entry['currency']}" for entry in document["balances"]]
        rows.append(
            (f"{worker_url(config, 1 + number % WORKERS)}{path}", ", ".join(amounts), document["version"])
        )
    click.echo(
        "\n"
        + table("Balances over HTTP", ("GET", "balance", "version"), rows, numbers=("balance", "version"))
    )


def worker_url(config: Settings, number: int) -> str:
    """Return the base URL of worker `number` on this machine."""
    host = "127.0.0.1" if config.http_host == "0.0.0.0" else config.http_host  # noqa: S104 (compared, not bound)
    return f"http://{host}:{config.http_port + number - 1}"


@contextmanager
def _workers(config: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the workers for the time of the block; their output goes to a file."""
    _step("run", "--workers", str(WORKERS))
    log = config.home.absolute() / "run" / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-m", "ledger_streams", "run", "--workers", str(WORKERS)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dies_with(os.getpid(), by=signal.SIGTERM),  # noqa: PLW1509 (it is one system call)
        )
    try:
        _until_ready(config, running, log)
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            running.kill()


def _until_ready(config: Settings, running: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at_s = time.monotonic() + READY_S_MAX
    waiting = [worker_url(config, number) for number in range(1, WORKERS + 1)]
    while waiting:
        if running.poll() is not None or time.monotonic() > give_up_at_s:
            click.echo("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]))
            raise click.ClickException(f"workers not ready: {', '.join(waiting)}; their output is in {log}")
        waiting = [url for url in waiting if not _is_ready(url)]
        time.sleep(LOOK_EVERY_S if waiting else 0)
    click.echo(f"Ready: {WORKERS} workers, a projector and a gateway; their output is in {log}")


def _is_ready(url: str) -> bool:
    try:
        return get(url, "/health/ready")[0] == 200
    except click.ClickException:
        return False


def _where_to_look(config: Settings, *, stays: bool) -> None:
    lines = [
        f"worker 1     {worker_url(config, 1)}/health/ready   /metrics   /v1/wallets/ID/balance",
        f"worker 2     {worker_url(config, 2)}/health/ready",
        f"PostgreSQL   psql {config.postgres} -c 'TABLE wallet_snapshots LIMIT 5'",
        f"Redis        redis-cli -u {config.redis} --scan --pattern 'wallet:*'",
        f"tables       {sys.argv[0]} tables",
        f"dead letters {sys.argv[0]} dlq list",
        f"pids         {config.home / 'run'}/*.pid (kill -9 one: it restarts, and reconcile agrees)",
    ]
    click.echo("\nWhere to look\n" + "\n".join(f"  {line}" for line in lines))
    if stays:
        click.echo(f"\nRunning.  Ctrl-C stops the workers; `{sys.argv[0]} stack down` then stops the stack.")
    else:
        click.echo("\nStopping what the demo has started (DEMO_EXIT=1 or --exit).")


def _until_stopped(running: subprocess.Popen[bytes]) -> None:
    if running.wait() != 0:
        raise click.ClickException(
            "`ledger-streams run` ended unexpectedly; its output is in LEDGER_HOME/run/demo.log"
        )


def _step(*arguments: str) -> None:
    click.echo(f"\n$ ledger-streams {' '.join(arguments)}")


def _ledger_streams(*arguments: str, quiet: bool = False) -> int:
    """Run a command in a process of its own, as a user would; return its exit code."""
    output = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", "ledger_streams", *arguments]
    return subprocess.run(command, stdout=output, stderr=output, check=False).returncode  # noqa: S603 (our own program)
