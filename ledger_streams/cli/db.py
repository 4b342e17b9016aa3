"""`db`: PostgreSQL's schema, roles, configuration, slowest statements and table sizes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from ledger_streams import postgres_tuning
from ledger_streams.adapters.postgres import activity as postgres_activity
from ledger_streams.adapters.postgres import migrations as postgres_migrations
from ledger_streams.adapters.postgres import roles as postgres_roles
from ledger_streams.cli.output import click_error, print_json, run_async, table
from ledger_streams.errors import LedgerError
from ledger_streams.settings import settings

ROWS: Final = 20
"""Rows that fit on a screen."""


@click.group()
def db() -> None:
    """PostgreSQL: schema, roles, configuration, statements, sizes."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def upgrade(as_json: bool) -> None:
    """Apply missing migrations and create the partitions of coming months.  Safe to repeat."""
    try:
        applied = asyncio.run(postgres_migrations.upgrade(settings().postgres_owner))
    except LedgerError as error:
        raise click_error(error) from error
    _print(applied, as_json=as_json, nothing="The schema is up to date.")


@db.command()
@click.option("--to", type=click.IntRange(min=0), required=True, help="Number of the last migration to keep.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.confirmation_option(prompt="This drops tables and loses their rows. Continue?")
def downgrade(to: int, as_json: bool) -> None:
    """Revert migrations, newest first.  The rows of dropped tables are lost."""
    try:
        taken_back = asyncio.run(postgres_migrations.downgrade(settings().postgres_owner, to))
    except LedgerError as error:
        raise click_error(error) from error
    _print(taken_back, as_json=as_json, nothing="No migration to revert.")


@db.command()
@click.option(
    "--app", "application", help="Role of workers, gateways and projectors; it may only append to history."
)
@click.option("--analyst", help="Role of analysts; read-only.")
@click.option("--apply", "is_applied", is_flag=True, help="Execute the statements.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def roles(application: str | None, analyst: str | None, is_applied: bool, as_json: bool) -> None:
    """Print the SQL that creates roles and grants their rights, or execute it.  Safe to repeat.

    It runs as the role of LEDGER_POSTGRES_ADMIN, which has to own the tables.  New roles have no
    password.
    """
    if application is None and analyst is None:
        raise click.UsageError("no role given: use --app NAME, --analyst NAME or both")
    ask = postgres_roles.give_roles if is_applied else postgres_roles.role_statements
    try:
        statements = asyncio.run(ask(settings().postgres_owner, application=application, analyst=analyst))
    except LedgerError as error:
        raise click_error(error) from error
    if as_json:
        click.echo(json.dumps({"applied": is_applied, "statements": statements}))
    else:
        click.echo("\n".join(f"{statement};" for statement in statements))


def _print(names: list[str], *, as_json: bool, nothing: str) -> None:
    if as_json:
        click.echo(json.dumps({"migrations": names}))
    else:
        click.echo("\n".join(names) or nothing)


@db.command()
@click.option("--memory", default="32GB", show_default=True, help="Memory for PostgreSQL alone.")
@click.option(
    "--cpus", type=click.IntRange(1), help="CPU cores.  [default: 8 for 32GB, else those of this machine]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tune(*, memory: str, cpus: int | None, as_json: bool) -> None:
    """Print a postgresql.conf for a machine of this size, with remarks on values that do not fit."""
    try:
        memory_bytes = postgres_tuning.bytes_of(memory)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--memory") from error
    size = {"memory_bytes": memory_bytes, "cpus": cpus or (8 if memory == "32GB" else os.cpu_count() or 1)}
    found, notes = postgres_tuning.tuned(**size), postgres_tuning.remarks(**size)
    if as_json:
        print_json({"settings": found, "remarks": notes})
    else:
        click.echo("".join(f"# {note}\n" for note in notes) + postgres_tuning.configuration(found), nl=False)


@db.command()
@click.option("--limit", default=ROWS, show_default=True, help="Maximum number of statements.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def top(*, limit: int, as_json: bool) -> None:
    """Show the statements with the longest total time (pg_stat_statements)."""
    found = run_async(postgres_activity.top(settings().postgres, limit=limit))
    _show("statements", postgres_activity.Statement.__struct_fields__, found, as_json=as_json)


@db.command()
@click.option("--limit", default=ROWS, show_default=True, help="Maximum number of tables.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def size(*, limit: int, as_json: bool) -> None:
    """Show the largest tables, their indexes and dead rows."""
    found = run_async(postgres_activity.sizes(settings().postgres, limit=limit))
    _show("tables", postgres_activity.Sized.__struct_fields__, found, as_json=as_json)


def _show(what: str, columns: Sequence[str], found: Sequence[msgspec.Struct], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    words = ("statement", "table", "vacuumed_at")
    rows = [msgspec.structs.astuple(one) for one in found]
    numbers = [column for column in columns if column not in words]
    click.echo(table(f"{len(found)} {what}", columns, rows, numbers=numbers))
