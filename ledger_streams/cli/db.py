"""`ledger-streams db`: the schema of PostgreSQL, and a look at its settings, work and size."""

from __future__ import annotations

import asyncio
import json

import click

from ledger_streams.adapters import postgres_migrations
from ledger_streams.cli import db_look
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
        applied = asyncio.run(postgres_migrations.upgrade(settings().postgres))
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
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
        taken_back = asyncio.run(postgres_migrations.downgrade(settings().postgres, to))
    except LedgerError as error:
        raise click.ClickException(str(error)) from error
    _print(taken_back, as_json=as_json, nothing="nothing to take back")


def _print(names: list[str], *, as_json: bool, nothing: str) -> None:
    if as_json:
        click.echo(json.dumps({"migrations": names}))
    else:
        click.echo("\n".join(names) or nothing)
