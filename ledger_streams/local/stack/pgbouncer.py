"""PgBouncer in transaction mode before the stack's PostgreSQL, if `Settings.pgbouncer` is set.

Many clients share few server connections; a connection is lent for one transaction.
PgBouncer does not run as root: it reads its configuration and then becomes the user
`postgres`.  It trusts every client on the loopback, as the server does.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ledger_streams.local.stack.install import TEMPLATES, Say, is_root, program
from ledger_streams.local.stack.postgres_owner import give_to_owner
from ledger_streams.local.stack.server import local_port, port_is_open, render, write_if_changed
from ledger_streams.local.stack.tls import Tls, tls, write_secret
from ledger_streams.settings import Settings

CLIENTS_MAX: Final = 1_000
"""Project requirement: a hundred processes with ten connections each."""
POOL_SIZE: Final = 50
"""Project requirement: server connections per role and database; more than eight cores can use."""
SERVERS_MAX: Final = 200
"""Project requirement: server connections per database, equal to PostgreSQL's max_connections."""


@dataclass(frozen=True)
class PgBouncer:
    """One PgBouncer; `pool_size` server connections for each role and database."""

    folder: Path
    port: int
    postgres_port: int
    role: str
    pool_size: int = POOL_SIZE
    tls: Tls | None = None

    @property
    def name(self) -> str:
        """Return pgbouncer."""
        return "pgbouncer"

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of an immediate shutdown; SIGINT would wait for every client."""
        return signal.SIGTERM

    def prepare(self, say: Say) -> bool:
        """Install it, write its users and configuration."""
        _program(say)
        users_changed = write_if_changed(self._users, f'"{self.role}" ""\n')
        return write_if_changed(self._configuration, self._text() + self._tls_text()) or users_changed

    def _tls_text(self) -> str:
        """Return the TLS configuration; PgBouncer runs as another user and reads copies of the files."""
        if self.tls is None:
            return ""
        copies = {"certificate": self.tls.certificate, "key": self.tls.key}
        for file in copies.values():
            write_secret(self.folder / file.name, file.read_text())
            give_to_owner(self.folder / file.name)
        files = {name: self.folder / file.name for name, file in copies.items()}
        return render(TEMPLATES / "pgbouncer" / "tls.ini", **files)

    def command(self) -> list[str]:
        """Return the command that runs it in the foreground."""
        return [_program(print), str(self._configuration)]

    async def complaint(self) -> str | None:
        """Return why it takes no connection, or None."""
        return None if await port_is_open(self.port) else "nothing listens on its port"

    @property
    def _configuration(self) -> Path:
        return self.folder / "pgbouncer.ini"

    @property
    def _users(self) -> Path:
        return self.folder / "users.txt"

    def _text(self) -> str:
        return render(
            TEMPLATES / "pgbouncer" / self._configuration.name,
            port=self.port,
            postgres_port=self.postgres_port,
            users=self._users,
            role=self.role,
            user_line="user = postgres" if is_root() else "",
            clients_max=CLIENTS_MAX,
            pool_size=self.pool_size,
            servers_max=SERVERS_MAX,
        )


def pgbouncer(settings: Settings, stack: Path) -> list[PgBouncer]:
    """Return the stack's PgBouncer; empty if it has none."""
    if not settings.pgbouncer:
        return []
    port = local_port(settings.pgbouncer, dependency="pgbouncer")
    role = unquote(urlsplit(settings.postgres).username or "postgres")
    postgres_port = local_port(settings.postgres, dependency="postgres")
    return [PgBouncer(stack / "pgbouncer", port, postgres_port, role, tls=tls(stack))]


def _program(say: Say) -> str:
    return program("pgbouncer", package="pgbouncer", dependency="pgbouncer", say=say)
