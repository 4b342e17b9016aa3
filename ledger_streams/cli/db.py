"""`ledger-streams db`: the schema of PostgreSQL, and a look at its settings, work and size."""

from __future__ import annotations

import asyncio
import json

import click

from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.roles import give_roles, role_statements
from ledger_streams.cli import db_look
from ledger_streams.cli.output import explained
from ledger_streams.errors import LedgerError
from ledger_streams.settings import settings


@click.group()
def db() -> None:
    """The schema of PostgreSQL, its settings, work and size."""


db.add_command(db_look.tune)
db.add_command(db_look.top)
db.add_command(db_look.size)


@db.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def upgrade(as_json: bool) -> None:
    """Apply the migrations that are missing, and make partitions ahead; safe to repeat."""
    try:
        applied = asyncio.run(migrations.upgrade(settings().postgres_owner))
    except LedgerError as error:
        raise explained(error) from error
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
        taken_back = asyncio.run(migrations.downgrade(settings().postgres_owner, to))
    except LedgerError as error:
        raise explained(error) from error
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
    ask = give_roles if is_applied else role_statements
    try:
        statements = asyncio.run(ask(settings().postgres_owner, application=application, analyst=analyst))
    except LedgerError as error:
        raise explained(error) from error
    if as_json:
        click.echo(json.dumps({"applied": is_applied, "statements": statements}))
    else:
        click.echo("\n".join(f"{statement};" for statement in statements))


def _print(names: list[str], *, as_json: bool, nothing: str) -> None:
    if as_json:
        click.echo(json.dumps({"migrations": names}))
    else:
        click.echo("\n".join(names) or nothing)
