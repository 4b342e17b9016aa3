"""PostgreSQL: the system's version 15 or later, else Maven's, with a data folder of its own.

PostgreSQL does not run as root, so root runs it as the user `postgres`.  If that user
cannot enter the stack's folder (a home that only root can enter), the data goes below
/var/lib/ledger-streams, and `data` in the stack's folder is a link to it.  The server
trusts every client on the loopback: it is for development only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncpg

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.backups import Backups, backups
from ledger_streams.local.stack.install import TEMPLATES, Say, run
from ledger_streams.local.stack.postgres_binaries import binaries
from ledger_streams.local.stack.postgres_owner import SUPERUSER, as_owner, give_to_owner, owner, reachable
from ledger_streams.local.stack.server import local_port, port_is_open, render, write_if_changed
from ledger_streams.local.stack.tls import Tls, tls, write_secret
from ledger_streams.postgres_tuning import bytes_of, configuration, tuned
from ledger_streams.settings import Settings

FALLBACK: Final = Path("/var/lib/ledger-streams")
PROBE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True)
class Postgres:
    """One PostgreSQL server with the role and the database of the DSN."""

    folder: Path
    port: int
    role: str
    database: str
    backups: Backups | None = None
    memory: str = ""
    """Memory size that it is tuned for; empty for the template's values."""
    tls: Tls | None = None

    @property
    def name(self) -> str:
        """Return postgres."""
        return "postgres"

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of a fast shutdown; SIGTERM would wait for every client."""
        return signal.SIGINT

    def prepare(self, say: Say) -> bool:
        """Install it, create its data folder, write its configuration."""
        binaries(say)
        if not self._data.is_dir():
            say(f"postgres: created the database cluster in {self._create(say)}")
        path = self._data / "postgresql.conf"
        text = render(TEMPLATES / "postgres" / path.name, port=self.port)
        if self.backups is not None:
            self.backups.prepare(say)
            text += self.backups.archiving()
        if self.memory:
            size = {"memory_bytes": bytes_of(self.memory), "cpus": os.cpu_count() or 1}
            text += f"\n# What follows counts, and is for {self.memory}.\n{configuration(tuned(**size))}"
        if self.tls is not None:
            text += render(TEMPLATES / "postgres" / "tls.conf")
        changed = write_if_changed(path, text)
        give_to_owner(path)
        return self._prepare_tls() or changed

    def _prepare_tls(self) -> bool:
        """Copy key and certificate for PostgreSQL's user, and require TLS; return True if files changed."""
        if self.tls is None:
            return False
        hba = (TEMPLATES / "postgres" / "pg_hba_tls.conf").read_text()
        copies = {"server.pem": self.tls.certificate.read_text(), "server.key": self.tls.key.read_text()}
        written = [
            write_secret(self._data / name, text) for name, text in {**copies, "pg_hba.conf": hba}.items()
        ]
        for name in (*copies, "pg_hba.conf"):
            give_to_owner(self._data / name)
        return any(written)

    def command(self) -> list[str]:
        """Return the server's command, without root's rights."""
        return [*as_owner(), str(binaries(print) / "postgres"), "-D", str(self._data.resolve())]

    async def complaint(self) -> str | None:
        """Run a query; a server in recovery answers before its data is complete."""
        if not await port_is_open(self.port):
            return f"no process listens on port {self.port}"
        try:
            connection = await self._connect()
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        try:
            is_recovering = await connection.fetchval("SELECT pg_is_in_recovery()")
        finally:
            await close_within("the connection to PostgreSQL", connection.close())
        return "replaying its log (recovery)" if is_recovering else None

    async def create_database(self) -> bool:
        """Create the DSN's role (a superuser, to add extensions) and database; return False if they exist."""
        connection = await self._connect()
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", self.role):
                await connection.execute(f"CREATE ROLE {_quoted(self.role)} LOGIN SUPERUSER")
            if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", self.database):
                return False
            await connection.execute(f"CREATE DATABASE {_quoted(self.database)} OWNER {_quoted(self.role)}")
        finally:
            await close_within("the connection to PostgreSQL", connection.close())
        return True

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, database="postgres", timeout=PROBE_TIMEOUT_S
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _create(self, say: Say) -> Path:
        """Create the cluster under another name, then rename it, so that a partial cluster is never used."""
        place = self._place(say)
        draft = place / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        give_to_owner(draft)
        initdb = str(binaries(say) / "initdb")
        options = ["-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        run([*as_owner(), initdb, "-D", str(draft), *options], dependency="postgres", cwd=place)
        whole = draft.rename(place / "data")
        if place != self.folder:
            self._data.unlink(missing_ok=True)
            self._data.symlink_to(whole)
        return whole

    def _place(self, say: Say) -> Path:
        """Return a folder for the data that the server's user can enter."""
        if reachable(self.folder):
            return self.folder
        place = fallback_folder(self.folder)
        place.mkdir(parents=True, exist_ok=True)
        if not reachable(place):
            detail = f"user {owner()} can enter neither {self.folder} nor {place}: set another LEDGER_HOME"
            raise Unavailable(dependency="postgres", detail=detail)
        say(f"postgres: user {owner()} cannot enter {self.folder}, so the data goes to {place}")
        return place


def fallback_folder(folder: Path) -> Path:
    """Return the data folder to use if the server's user cannot enter `folder`."""
    return FALLBACK / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def postgres(settings: Settings, stack: Path) -> Postgres:
    """Return the stack's PostgreSQL."""
    parts = urlsplit(settings.postgres)
    role = unquote(parts.username or SUPERUSER)
    database = unquote(parts.path.lstrip("/")) or role
    port = local_port(settings.postgres, dependency="postgres")
    folder = stack / "postgres"
    kept = backups(settings, folder)
    return Postgres(folder, port, role, database, kept, settings.postgres_memory, tls(stack))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
