"""`archive`: old months of the event store, in files.

now           writes months to files, and drops them once those are there
list          the months: how many of their rows are in the table, how many in files
verify        files against manifests, rows against their chains
attach MONTH  puts a month's rows back
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from ledger_streams.archive.months import (
    archive_months,
    attach_month,
    check_archive,
    month_statuses,
    months_before,
    parse_month,
)
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.errors import LedgerError
from ledger_streams.settings import settings

FINDING_COLUMNS: Final = ("file", "of", "at", "month", "what")
COUNTS: Final = ("rows", "archived rows", "bytes")


@click.group()
def archive() -> None:
    """Old months of `events`, in files of the folder LEDGER_ARCHIVE; with the rights of the tables' owner."""


@archive.command()
@click.option("--before", help="All months before this one, like 2024-11; else LEDGER_ARCHIVE_MONTHS says.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the manifests.")
def now(before: str | None, as_json: bool) -> None:
    """Write months to files, read them back, and drop them; safe to repeat, and to kill."""
    config = settings()
    try:
        limit = parse_month(before) if before else None
    except LedgerError as error:
        raise click.BadParameter(str(error), param_hint="--before") from error
    if limit is None and config.archive_months:
        limit = months_before(datetime.now(UTC).date(), config.archive_months)
    if limit is None:
        click.echo("LEDGER_ARCHIVE_MONTHS is 0: no month is old; --before names one.", err=True)
    found = awaited(archive_months(config, limit, _say)) if limit else []
    if as_json:
        say_json(found)
    else:
        click.echo(f"{len(found)} months archived, {sum(one.rows for one in found):,} rows.")


@archive.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """Show the months, and where their rows are; a month that is attached may have files, too."""
    found = awaited(month_statuses(settings()))
    if as_json:
        say_json(found)
        return
    rows = [
        (one.month, one.state, one.rows, one.archived_rows, one.bytes, ", ".join(one.files)) for one in found
    ]
    columns = ("month", "state", *COUNTS, "files")
    click.echo(table(f"{len(found)} months", columns, rows, numbers=COUNTS))


@archive.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(as_json: bool) -> None:
    """Find files and archived rows that are not what was archived; exit 1 when there are any."""
    result = awaited(check_archive(settings()))
    if as_json:
        say_json(result)
    else:
        click.echo(f"{result.files:,} files, {result.rows:,} archived rows.")
        rows = [msgspec.structs.astuple(found) for found in result.findings]
        click.echo(table("NOT AS ARCHIVED", FINDING_COLUMNS, rows) if rows else "All is as it was archived.")
    sys.exit(result.exit_code)


@archive.command()
@click.argument("month")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def attach(month: str, as_json: bool) -> None:
    """Put the rows of MONTH (like 2024-11) back into `events`, once its files are verified; they stay."""
    try:
        wanted = parse_month(month)
    except LedgerError as error:
        raise click.BadParameter(str(error), param_hint="MONTH") from error
    attached = awaited(attach_month(settings(), wanted))
    if as_json:
        say_json({"month": month, "rows": sum(one.rows for one in attached)})
    else:
        click.echo(f"{sum(one.rows for one in attached):,} rows are in `events` again.")


def _say(line: str) -> None:
    click.echo(line, err=True)
