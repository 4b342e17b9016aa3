"""Lifecycle: up, down and status of all servers of one stack.

`up` is safe to repeat: it leaves a server alone that runs with the same configuration,
starts one that died, and restarts one whose configuration has changed.  A lock on the
stack's folder allows one `up` or `down` at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger_streams.errors import Unavailable
from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.backups import Backups, backups
from ledger_streams.local.stack.install import Say
from ledger_streams.local.stack.kafka import brokers as kafka_brokers
from ledger_streams.local.stack.pgbouncer import pgbouncer
from ledger_streams.local.stack.postgres import Postgres, postgres
from ledger_streams.local.stack.redis import redis
from ledger_streams.local.stack.server import Server, port_is_open
from ledger_streams.local.stack.tls import create_tls, tls
from ledger_streams.settings import Settings

READY_WITHIN_S: Final = 90.0
"""A broker replays its log after a kill; three at once on two cores take half of this time."""
STOP_PATIENCE_S: Final = 30.0
"""Time to stop before a server is killed; a broker without quorum would wait for minutes."""
PORT_FREE_WITHIN_S: Final = 3.0
POLL_S: Final = 0.1


@dataclass(frozen=True)
class ServerStatus:
    """Current state of one server; `detail` is the problem, or "answers"."""

    name: str
    address: str
    pid: int | None
    healthy: bool
    detail: str
    folder: str


def up(settings: Settings, *, brokers: int | None = None, with_tls: bool = False, say: Say = print) -> None:
    """Start the servers that are down; return when all servers answer.

    `with_tls` makes the stack serve TLS from now on.  `brokers` applies to a new stack only (default: one
    per address of Kafka).  Raises Unavailable with the end of its log if a server does not start.
    """
    stack = _folder(settings)
    stack.mkdir(parents=True, exist_ok=True)
    with _locked(stack, say):
        if with_tls:
            create_tls(stack, say)
        servers = _servers(settings, stack, brokers)
        started_at = time.monotonic()
        for server in servers:
            _prepare(server, say)
        for server in servers:
            asyncio.run(_start_if_needed(server, say))
        asyncio.run(_ready(servers, say))
        say(f"The stack is up ({time.monotonic() - started_at:.1f} s): {stack}")


def exports(settings: Settings) -> list[str]:
    """Return `export` lines with the settings for this stack; none if it has no TLS."""
    if (own := tls(_folder(settings))) is None:
        return []
    return [
        f"export LEDGER_{name.upper()}={shlex.quote(value)}" for name, value in own.settings(settings).items()
    ]


def down(settings: Settings, *, say: Say = print) -> None:
    """Stop the servers and return when all have ended; their data stays."""
    stack = _folder(settings)
    if not stack.is_dir():
        say(f"Nothing to stop: no stack in {stack}")
        return
    with _locked(stack, say):
        _stop(_servers(settings, stack, None), say)


def status(settings: Settings) -> list[ServerStatus]:
    """Return the state of each server: whether its process is alive, and whether it answers."""
    return asyncio.run(_status(_servers(settings, _folder(settings), None)))


def open_backups(settings: Settings) -> Backups:
    """Return the backups of the stack's PostgreSQL; raises Unavailable if LEDGER_BACKUPS is not set."""
    found = backups(settings, _folder(settings) / "postgres")
    if found is None:
        raise Unavailable(
            dependency="backups", detail="LEDGER_BACKUPS is not set: set it to a folder, then run `stack up`"
        )
    return found


def _folder(settings: Settings) -> Path:
    return settings.home.resolve() / "stack"


def _servers(settings: Settings, stack: Path, brokers: int | None) -> list[Server]:
    return [
        *kafka_brokers(settings, stack, brokers),
        postgres(settings, stack),
        *pgbouncer(settings, stack),
        redis(settings, stack),
    ]


@contextmanager
def _locked(stack: Path, say: Say) -> Iterator[None]:
    with (stack / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another `stack up` or `stack down` on {stack}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(server: Server, say: Say) -> None:
    """Prepare the server's folder; stop the server if its configuration has changed."""
    server.folder.mkdir(exist_ok=True)
    if server.prepare(say) and daemon.running_pid(server.folder) is not None:
        say(f"{server.name}: configuration changed, restarting")
        _stop([server], say)


async def _start_if_needed(server: Server, say: Say) -> None:
    pid = daemon.running_pid(server.folder)
    if pid is not None:
        say(f"{server.name}: already running, pid {pid}, port {server.port}")
        return
    if not await _port_gets_free(server.port):
        detail = f"port {server.port} of 127.0.0.1 is used by another process: stop it, or set another port"
        raise Unavailable(dependency=server.name, detail=detail)
    pid = daemon.start(server.folder, server.command())
    say(f"{server.name}: started, pid {pid}, port {server.port}, log {server.folder / 'log'}")


async def _port_gets_free(port: int) -> bool:
    """Wait for the port: a killed process keeps it until its last thread has ended."""
    deadline = time.monotonic() + PORT_FREE_WITHIN_S
    while await port_is_open(port):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def _ready(servers: Sequence[Server], say: Say) -> None:
    await asyncio.gather(*(_answers(server, say) for server in servers))


async def _answers(server: Server, say: Say) -> None:
    deadline, may_start = time.monotonic() + READY_WITHIN_S, True
    while (complaint := await server.complaint()) is not None:
        if daemon.running_pid(server.folder) is None:
            if may_start:  # a server killed a moment ago may have looked alive
                may_start = False
                await _start_if_needed(server, say)
                continue
            complaint = "ended right after its start"
        elif time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
            continue
        detail = f"{complaint}; the end of {server.folder / 'log'}:\n{daemon.log_tail(server.folder)}"
        raise Unavailable(dependency=server.name, detail=detail)
    if isinstance(server, Postgres):
        if await server.create_database():
            say(f"postgres: created database {server.database} of role {server.role}")
        if server.backups is not None:
            await asyncio.to_thread(server.backups.create)


def _stop(servers: Sequence[Server], say: Say) -> None:
    """Signal all servers before waiting: brokers stopped one by one would wait for each other."""
    asked = [server for server in servers if daemon.ask_to_stop(server.folder, server.stop_signal)]
    for server in servers:
        if server not in asked:
            say(f"{server.name}: not running")
    for server in asked:
        orderly = daemon.wait_for_end(server.folder, patience_s=STOP_PATIENCE_S)
        say(
            f"{server.name}: {'stopped' if orderly else f'killed, did not stop within {STOP_PATIENCE_S:g} s'}"
        )


async def _status(servers: Sequence[Server]) -> list[ServerStatus]:
    return list(await asyncio.gather(*(_look(server) for server in servers)))


async def _look(server: Server) -> ServerStatus:
    pid = daemon.running_pid(server.folder)
    complaint = "not running" if pid is None else await server.complaint()
    return ServerStatus(
        name=server.name,
        address=f"127.0.0.1:{server.port}",
        pid=pid,
        healthy=complaint is None,
        detail=complaint or "answers",
        folder=str(server.folder),
    )
