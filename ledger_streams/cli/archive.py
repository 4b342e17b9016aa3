"""`archive`: old months of the event store in files.

now           write months to files, verify the files, then drop the months from the table
list          list the months: rows in the table, rows in files
verify        check files against manifests and rows against their hash chains
attach MONTH  put a month's rows back into the table
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
from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.errors import LedgerError
from ledger_streams.settings import settings

FINDING_COLUMNS: Final = ("file", "of", "at", "month", "what")
COUNTS: Final = ("rows", "archived rows", "bytes")


@click.group()
def archive() -> None:
    """Old months of `events` as files in LEDGER_ARCHIVE; needs the rights of the tables' owner."""


@archive.command()
@click.option(
    "--before", help="Archive the months before this one (YYYY-MM).  [default: by LEDGER_ARCHIVE_MONTHS]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifests as JSON.")
def now(before: str | None, as_json: bool) -> None:
    """Write old months to files, read the files back, then drop the months.  Safe to repeat and to kill."""
    config = settings()
    try:
        limit = parse_month(before) if before else None
    except LedgerError as error:
        raise click.BadParameter(str(error), param_hint="--before") from error
    if limit is None and config.archive_months:
        limit = months_before(datetime.now(UTC).date(), config.archive_months)
    if limit is None:
        click.echo(
            "Nothing archived: LEDGER_ARCHIVE_MONTHS is 0. Set it, or give --before YYYY-MM.", err=True
        )
    found = run_async(archive_months(config, limit, _say)) if limit else []
    if as_json:
        print_json(found)
    else:
        click.echo(f"{len(found)} months archived, {sum(one.rows for one in found):,} rows.")


@archive.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the months and where their rows are.  An attached month may have files as well."""
    found = run_async(month_statuses(settings()))
    if as_json:
        print_json(found)
        return
    rows = [
        (one.month, one.state, one.rows, one.archived_rows, one.bytes, ", ".join(one.files)) for one in found
    ]
    columns = ("month", "state", *COUNTS, "files")
    click.echo(table(f"{len(found)} months", columns, rows, numbers=COUNTS))


@archive.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(as_json: bool) -> None:
    """Find files and archived rows that were changed since; exit 1 if there are any."""
    result = run_async(check_archive(settings()))
    if as_json:
        print_json(result)
    else:
        click.echo(f"{result.files:,} files, {result.rows:,} archived rows.")
        rows = [msgspec.structs.astuple(found) for found in result.findings]
        click.echo(
            table("NOT AS ARCHIVED", FINDING_COLUMNS, rows)
            if rows
            else "No differences: files and rows are as archived."
        )
    sys.exit(result.exit_code)


@archive.command()
@click.argument("month")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def attach(month: str, as_json: bool) -> None:
    """Verify the files of MONTH (YYYY-MM) and put its rows back into `events`.  The files stay."""
    try:
        wanted = parse_month(month)
    except LedgerError as error:
        raise click.BadParameter(str(error), param_hint="MONTH") from error
    attached = run_async(attach_month(settings(), wanted))
    if as_json:
        print_json({"month": month, "rows": sum(one.rows for one in attached)})
    else:
        click.echo(f"{sum(one.rows for one in attached):,} rows attached to `events` again.")


def _say(line: str) -> None:
    click.echo(line, err=True)
