"""Ordinary mistakes: one sentence with the problem and the setting to change, never a traceback.

Examples: a server is down, a folder is not writable, a port is taken.  Any other error is a bug
of the program and keeps its traceback.
"""

from __future__ import annotations

import errno
import re
import socket
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from ledger_streams.errors import InvariantBroken, LedgerError, Unavailable
from ledger_streams.setting_checks import host_and_port
from ledger_streams.settings import Settings, settings

SERVERS: Final = {
    "kafka": "LEDGER_KAFKA",
    "postgres": "LEDGER_POSTGRES",
    "redis": "LEDGER_REDIS",
}
CONNECT_S_MAX: Final = 5.0
MODULES: Final = {"aiokafka": "kafka", "asyncpg": "postgres", "redis": "redis"}


def error_message(error: BaseException) -> str | None:
    """Return the message for the user, with the setting to change; None if the error is a bug."""
    if isinstance(error, InvariantBroken):
        return None
    if isinstance(error, LedgerError):
        return f"{error}{_about_server(error)}"
    module = type(error).__module__.partition(".")[0]
    if dependency := MODULES.get(module):
        said = f"{dependency} is not available: {type(error).__name__}: {error}"
        return said + _about_server(Unavailable(dependency=dependency, detail=""))
    if isinstance(error, sqlite3.OperationalError):
        return f"the provider simulator's book (--book) cannot be used: {error}"
    return _of_system(error) if isinstance(error, OSError) else None


def _about_server(error: LedgerError) -> str:
    """Return a hint with the setting of the server's address."""
    name = SERVERS.get(error.dependency) if isinstance(error, Unavailable) else None
    if name is None or name in str(error):
        return ""
    try:
        where = _without_password(str(getattr(settings(), error.dependency)))  # type: ignore[attr-defined]
    except LedgerError:
        where = "not readable"
    return f" ({name} is {where}; `ledger-streams stack up` starts the local one)"


def _of_system(error: OSError) -> str | None:
    if error.filename is None:
        return f"{error.strerror or error}" if error.errno in (errno.ENOSPC, errno.EMFILE) else None
    path = Path(str(error.filename))
    return f"{path}: {error.strerror}{_setting_of(path.absolute())}"


def _setting_of(path: Path) -> str:
    """Return a hint with the setting of the folder that contains a path."""
    try:
        config = settings()
    except LedgerError:
        return ""
    places = {
        "LEDGER_HOME": str(config.home),
        "LEDGER_ARCHIVE": config.archive,
        "LEDGER_BACKUPS": config.backups,
    }
    for name, folder in places.items():
        if folder and (path.is_relative_to(folder) or Path(folder).is_relative_to(path)):
            return f"; set {name} to a writable folder"
    if path.is_relative_to(Path.home()):
        return "; set HOME or XDG_CACHE_HOME to a writable folder"
    return ""


def check_ports(host: str, ports: dict[int, str], setting: str = "LEDGER_HTTP_PORT") -> None:
    """End the command if a port cannot be bound now.  `ports` is `{port: its user}`, for the message."""
    for port, owner in ports.items():
        if port > 65_535:
            raise click.ClickException(f"port {port} for {owner} is above 65535: set {setting} lower")
        if problem := _port_problem(host, port):
            if problem.errno == errno.EADDRINUSE:
                raise click.ClickException(
                    f"port {port} of {host}, for {owner}, is taken: stop the program that listens there, "
                    f"or set {setting} to another port"
                )
            hint = "LEDGER_HTTP_HOST" if problem.errno != errno.EACCES else setting
            why = problem.strerror or problem
            raise click.ClickException(
                f"port {port} of {host}, for {owner}, cannot be bound ({why}): set {hint}"
            )


def _port_problem(host: str, port: int) -> OSError | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found[:1]:
            with socket.socket(family, kind, protocol) as bound:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind(address)
    except OSError as error:
        return error
    return None


def check_kafka(config: Settings) -> None:
    """End the command unless one of Kafka's addresses accepts a connection: no worker starts without."""
    problems = []
    for server in config.kafka.split(","):
        try:
            socket.create_connection(host_and_port(server), timeout=CONNECT_S_MAX).close()
        except OSError as error:
            problems.append(f"{server}: {error.strerror or error}")
        else:
            return
    raise click.ClickException(
        f"kafka is not available ({'; '.join(problems)}): start it, or set LEDGER_KAFKA "
        "(`ledger-streams stack up` starts the local one)"
    )


def check_home(config: Settings) -> None:
    """End the command unless LEDGER_HOME (tables, pid files) can be created and written."""
    folder = config.home
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{socket.gethostname()}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        detail = f"LEDGER_HOME: {folder} is not writable ({error.strerror}): set it to a writable folder"
        raise click.ClickException(detail) from error


def _without_password(url: str) -> str:
    url = re.sub(r"(?<=password=)[^&]*", "***", url)
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@")
