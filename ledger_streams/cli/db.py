"""`ledger-streams db`: the schema of PostgreSQL, and a look at its settings, work and size."""

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
"""A screen."""


@click.group()
def db() -> None:
    """The schema of PostgreSQL, its settings, work and size."""


@db.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def upgrade(as_json: bool) -> None:
    """Apply the migrations that are missing, and make partitions ahead; safe to repeat."""
    try:
        applied = asyncio.run(postgres_migrations.upgrade(settings().postgres_owner))
    except LedgerError as error:
        raise click_error(error) from error
    _print(applied, as_json=as_json, nothing="the schema is up to date")


@db.command()
@click.option(
    "--to", type=click.IntRange(min=0), required=True, help="number of the last migration that stays"
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.confirmation_option(prompt="Tables are dropped and their rows are lost. Go on?")
def downgrade(to: int, as_json: bool) -> None:
    """Take migrations back, newest first; the rows of dropped tables are lost."""
    try:
        taken_back = asyncio.run(postgres_migrations.downgrade(settings().postgres_owner, to))
    except LedgerError as error:
        raise click_error(error) from error
    _print(taken_back, as_json=as_json, nothing="nothing to take back")


@db.command()
@click.option("--app", "application", help="Role of workers, gateways, projectors: it adds to history only.")
@click.option("--analyst", help="Role of people who read.")
@click.option("--apply", "is_applied", is_flag=True, help="Carry the statements out.")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def roles(application: str | None, analyst: str | None, is_applied: bool, as_json: bool) -> None:
    """Print the SQL that makes these roles and gives them their rights, or carry it out; safe to repeat.

    It runs as the role of LEDGER_POSTGRES_ADMIN, which has to own the tables.  A role that is made has
    no password.
    """
    if application is None and analyst is None:
        raise click.UsageError("name a role: --app, --analyst")
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
@click.option("--memory", default="32GB", show_default=True, help="Memory that PostgreSQL has to itself.")
@click.option("--cpus", type=click.IntRange(1), help="Cores.  [default: 8 for 32GB, else this machine's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tune(*, memory: str, cpus: int | None, as_json: bool) -> None:
    """Print postgresql.conf for a machine of this size, and where the usual figures are too much for it."""
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
@click.option("--limit", default=ROWS, show_default=True, help="Statements.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def top(*, limit: int, as_json: bool) -> None:
    """Show the statements that took longest in sum, from pg_stat_statements."""
    found = run_async(postgres_activity.top(settings().postgres, limit=limit))
    _show("statements", postgres_activity.Statement.__struct_fields__, found, as_json=as_json)


@db.command()
@click.option("--limit", default=ROWS, show_default=True, help="Tables.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def size(*, limit: int, as_json: bool) -> None:
    """Show the largest tables, their indexes, and rows that a vacuum has still to clear."""
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
