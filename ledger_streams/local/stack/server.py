"""Server: the interface of Kafka, PostgreSQL, PgBouncer and Redis for the lifecycle.

A server prepares its folder, returns its command, and probes itself.  Start, wait and
stop are the same for all.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from string import Template
from typing import Final, Protocol
from urllib.parse import urlsplit

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.install import Say

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


class Server(Protocol):
    """One process of the stack."""

    @property
    def name(self) -> str:
        """Return its name, which is also its folder's name."""

    @property
    def folder(self) -> Path:
        """Return the folder of its pid file, log and data."""

    @property
    def port(self) -> int:
        """Return its port on the loopback."""

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal for an orderly stop."""

    def prepare(self, say: Say) -> bool:
        """Install it, create its data, write its configuration; return True if that has changed."""

    def command(self) -> list[str]:
        """Return the command that runs it in the foreground."""

    async def complaint(self) -> str | None:
        """Return the problem, or None if it answers a real request."""


def local_port(address: str, *, dependency: str) -> int:
    """Return the port of a URL or host:port; raises Unavailable unless the host is the loopback."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname not in LOOPBACK or parts.port is None:
        detail = f"the local stack serves ports of 127.0.0.1 only, got address {address}"
        raise Unavailable(dependency=dependency, detail=detail)
    return parts.port


def write_if_changed(path: Path, text: str) -> bool:
    """Write the file if its content differs; return True if it was written."""
    if path.is_file() and path.read_text() == text:
        return False
    path.write_text(text)
    return True


def render(template: Path, **names: object) -> str:
    """Substitute the $names in a template of deploy/local; raises KeyError for a missing name."""
    return Template(template.read_text()).substitute(names)


async def port_is_open(port: int) -> bool:
    """Return whether the port accepts a connection."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await close_within("the probe", writer.wait_closed())
    return True
