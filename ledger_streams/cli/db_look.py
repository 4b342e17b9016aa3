"""`ledger-streams db tune`, `top` and `size`: PostgreSQL's settings, work and size, for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import click
import msgspec

from ledger_streams import postgres_tuning
from ledger_streams.adapters.postgres import activity
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.settings import settings

ROWS: Final = 20
"""A screen."""


@click.command()
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
        say_json({"settings": found, "remarks": notes})
    else:
        click.echo("".join(f"# {note}\n" for note in notes) + postgres_tuning.configuration(found), nl=False)


@click.command()
@click.option("--limit", default=ROWS, show_default=True, help="Statements.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def top(*, limit: int, as_json: bool) -> None:
    """Show the statements that took longest in sum, from pg_stat_statements."""
    found = awaited(activity.top(settings().postgres, limit=limit))
    _show("statements", activity.Statement.__struct_fields__, found, as_json=as_json)


@click.command()
@click.option("--limit", default=ROWS, show_default=True, help="Tables.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def size(*, limit: int, as_json: bool) -> None:
    """Show the largest tables, their indexes, and rows that a vacuum has still to clear."""
    found = awaited(activity.sizes(settings().postgres, limit=limit))
    _show("tables", activity.Sized.__struct_fields__, found, as_json=as_json)


def _show(what: str, columns: Sequence[str], found: Sequence[msgspec.Struct], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    words = ("statement", "table", "vacuumed_at")
    rows = [msgspec.structs.astuple(one) for one in found]
    numbers = [column for column in columns if column not in words]
    click.echo(table(f"{len(found)} {what}", columns, rows, numbers=numbers))
