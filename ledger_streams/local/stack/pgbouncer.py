"""PgBouncer in transaction mode before the stack's PostgreSQL, where `Settings.pgbouncer` asks for it.

Many clients share few server connections, each lent for one transaction.  PgBouncer
refuses root: it reads its configuration and then becomes the user `postgres`.
Everybody on the loopback is trusted, as by the server behind it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ledger_streams.local.stack.install import TEMPLATES, Say, is_root, program
from ledger_streams.local.stack.postgres_owner import give
from ledger_streams.local.stack.server import local_port, port_is_open, rendered, write_if_other
from ledger_streams.local.stack.tls import Tls, tls, write_secret
from ledger_streams.settings import Settings

CLIENTS_MAX: Final = 1_000
"""The owner's: with ten connections each, a hundred processes."""
POOL_SIZE: Final = 50
"""The owner's: server connections of one role in one database; more than eight cores can keep busy."""
SERVERS_MAX: Final = 200
"""The owner's, of one database; as many as PostgreSQL's max_connections."""


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
        """Return the signal of an immediate end; SIGINT would wait for every client."""
        return signal.SIGTERM

    def prepare(self, say: Say) -> bool:
        """Install it, write its users and its configuration."""
        _program(say)
        users_changed = write_if_other(self._users, f'"{self.role}" ""\n')
        return write_if_other(self._configuration, self._text() + self._tls_text()) or users_changed

    def _tls_text(self) -> str:
        """Return what its configuration says of TLS; it reads its own copies, as another user."""
        if self.tls is None:
            return ""
        copies = {"certificate": self.tls.certificate, "key": self.tls.key}
        for file in copies.values():
            write_secret(self.folder / file.name, file.read_text())
            give(self.folder / file.name)
        files = {name: self.folder / file.name for name, file in copies.items()}
        return rendered(TEMPLATES / "pgbouncer" / "tls.ini", **files)

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
        return rendered(
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
    """Return the stack's PgBouncer, if it has one."""
    if not settings.pgbouncer:
        return []
    port = local_port(settings.pgbouncer, dependency="pgbouncer")
    role = unquote(urlsplit(settings.postgres).username or "postgres")
    postgres_port = local_port(settings.postgres, dependency="postgres")
    return [PgBouncer(stack / "pgbouncer", port, postgres_port, role, tls=tls(stack))]


def _program(say: Say) -> str:
    return program("pgbouncer", package="pgbouncer", dependency="pgbouncer", say=say)
