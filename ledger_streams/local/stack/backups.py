"""Backups of the stack's PostgreSQL by pgBackRest, in the folder `Settings.backups`.

A backup is a copy of the data folder.  With the write-ahead log, which the server archives
segment by segment, it can be restored to any later point in time.  Everything runs as the
server's user and stays on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ledger_streams.errors import Unavailable
from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.install import TEMPLATES, Say, program, run
from ledger_streams.local.stack.postgres_owner import as_owner, give_to_owner, owner, reachable
from ledger_streams.local.stack.server import local_port, render, write_if_changed
from ledger_streams.settings import Settings

STANZA: Final = "ledger"
"""pgBackRest's name for one database cluster and its backups."""


class Backup(msgspec.Struct, frozen=True):
    """One backup: it can be restored to any time after `ended_at` that the archive covers."""

    label: str
    kind: str
    started_at: str
    ended_at: str
    database_bytes: int
    repository_bytes: int


@dataclass(frozen=True)
class Backups:
    """The repository of one PostgreSQL server."""

    repository: Path
    folder: Path
    """The server's folder in the stack."""
    port: int

    def prepare(self, say: Say) -> None:
        """Install pgBackRest, create its folders, write its configuration."""
        self._program(say)
        locks = self.folder / "pgbackrest"
        for folder in (self.repository, locks):
            folder.mkdir(parents=True, exist_ok=True)
            give_to_owner(folder)
            if not reachable(folder):
                detail = f"user {owner()} cannot enter {folder}: set other LEDGER_BACKUPS and LEDGER_HOME"
                raise Unavailable(dependency="backups", detail=detail)
        names = {"repository": self.repository, "locks": locks, "data": self._data, "port": self.port}
        template = TEMPLATES / "postgres" / "pgbackrest.conf"
        write_if_changed(self._configuration, render(template, stanza=STANZA, **names))

    def archiving(self) -> str:
        """Return the lines of postgresql.conf that archive the write-ahead log."""
        command = f"{self._program(print)} --config={self._configuration} --stanza={STANZA} archive-push %p"
        return render(TEMPLATES / "postgres" / "archiving.conf", command=command)

    def create(self) -> None:
        """Create the archive for this cluster; the server has to run.  Safe to repeat."""
        self._run("stanza-create")

    def now(self, *, full: bool) -> Backup:
        """Make an incremental or full backup, then delete old ones."""
        self._run("backup", f"--type={'full' if full else 'incr'}")
        return self.all()[-1]

    def all(self) -> list[Backup]:
        """Return the backups, oldest first."""
        (stanza,) = msgspec.json.decode(self._run("info", "--output=json"))
        return [
            Backup(
                label=backup["label"],
                kind=backup["type"],
                started_at=_moment(backup["timestamp"]["start"]),
                ended_at=_moment(backup["timestamp"]["stop"]),
                database_bytes=backup["info"]["size"],
                repository_bytes=backup["info"]["repository"]["delta"],
            )
            for backup in stanza["backup"]
        ]

    def check(self) -> None:
        """Have the server end a segment of its log, and wait until it is archived."""
        self._run("check")

    def restore(self, to: datetime | None) -> None:
        """Restore the database to a point in time, into an empty or missing data folder.

        It restores the newest backup before `to`; the server replays its log from there when it starts.
        Without `to` the server replays the whole archive.
        """
        if daemon.running_pid(self.folder) is not None:
            raise Unavailable(
                dependency="backups", detail="PostgreSQL is running: stop it first (`stack down`)"
            )
        self._data.mkdir(mode=0o700, exist_ok=True)
        if any(self._data.iterdir()):
            detail = f"{self._data} is not empty: move its content away first"
            raise Unavailable(dependency="backups", detail=detail)
        give_to_owner(self._data)
        target = [] if to is None else ["--type=time", f"--target={to:%F %T.%f%z}", "--target-action=promote"]
        self._run("restore", *target)

    @property
    def _configuration(self) -> Path:
        return self.folder / "pgbackrest.conf"

    @property
    def _data(self) -> Path:
        return (self.folder / "data").resolve()

    def _run(self, command: str, *options: str) -> str:
        words = [self._program(print), f"--config={self._configuration}", f"--stanza={STANZA}", *options]
        # The server has no Unix socket; pgBackRest leaves the host to libpq, which reads PGHOST.
        return run(
            [*as_owner(), "env", "PGHOST=127.0.0.1", *words, command], dependency="backups", cwd=self.folder
        )

    @staticmethod
    def _program(say: Say) -> str:
        return program("pgbackrest", package="pgbackrest", dependency="backups", say=say)


def backups(settings: Settings, folder: Path) -> Backups | None:
    """Return the backups of the PostgreSQL in this folder; None if LEDGER_BACKUPS is not set."""
    if not settings.backups:
        return None
    port = local_port(settings.postgres, dependency="postgres")
    return Backups(Path(settings.backups).resolve(), folder, port)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
