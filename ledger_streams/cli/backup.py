"""`backup` and `restore`: backups of the local stack's PostgreSQL, and point-in-time recovery."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import click
import msgspec

from ledger_streams.cli.output import click_error, print_json, table
from ledger_streams.errors import Unavailable
from ledger_streams.local import stack
from ledger_streams.local.stack.backups import Backup, Backups
from ledger_streams.settings import settings

T = TypeVar("T")


@click.group()
def backup() -> None:
    """Backups of the local stack's PostgreSQL in the folder LEDGER_BACKUPS."""


@backup.command()
@click.option("--full", is_flag=True, help="Make a full backup, not an incremental one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def now(*, full: bool, as_json: bool) -> None:
    """Make a backup, then delete backups older than the last two full ones."""
    _show([_done(lambda opened: opened.now(full=full))], as_json=as_json)


@backup.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(*, as_json: bool) -> None:
    """List the backups.  Any time after the end of the first one can be restored."""
    _show(_done(Backups.all), as_json=as_json)


@backup.command()
def check() -> None:
    """Archive the write-ahead log up to now and wait for it; exit 1 if it does not arrive."""
    _done(Backups.check)
    click.echo("The archive is complete up to now.")


@click.command()
@click.option(
    "--to",
    help='Point in time, e.g. "2026-11-25 17:00:00+00" (UTC if no offset).  [default: end of the archive]',
)
def restore(*, to: str | None) -> None:
    """Restore the backups into the empty data folder of the stopped PostgreSQL.

    Then `ledger-streams stack up` starts it.
    """
    moment = None if to is None else _moment(to)
    _done(lambda opened: opened.restore(moment))
    click.echo(
        "Restored. `ledger-streams stack up` starts PostgreSQL, which replays its log up to that time."
    )


def _done(what: Callable[[Backups], T]) -> T:
    try:
        return what(stack.open_backups(settings()))
    except Unavailable as error:
        raise click_error(error) from error


def _moment(text: str) -> datetime:
    if re.search(r"[.,]\d{7}", text):
        raise click.BadParameter(
            f"must have at most six digits after the second, got {text[:60]!r}", param_hint="--to"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        detail = f'must be a time like "2026-11-25 17:00:00+00", got {text[:60]!r}'
        raise click.BadParameter(detail, param_hint="--to") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(found: list[Backup], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    columns = Backup.__struct_fields__
    rows = [msgspec.structs.astuple(one) for one in found]
    click.echo(table(f"{len(found)} backups", columns, rows, numbers=columns[-2:]))
