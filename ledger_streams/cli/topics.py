"""`ledger-streams topics`: create the topics as they are declared, or say what differs."""

from __future__ import annotations

import json
import sys

import click

from ledger_streams import topics as declared
from ledger_streams.cli.output import awaited
from ledger_streams.cli.topics_read import read
from ledger_streams.settings import settings


@click.group()
def topics() -> None:
    """Kafka's topics, as ledger_streams/topics.py declares them."""


@topics.command()
def apply() -> None:
    """Create what is missing and correct configuration; exit 1 if something differs still."""
    done = awaited(declared.apply(settings()))
    left = awaited(declared.check(settings()))
    for line in [*done, *(f"left as it is: {difference}" for difference in left)]:
        click.echo(line)
    if not done and not left:
        click.echo(f"All {len(declared.TOPICS)} topics are as declared.")
    sys.exit(1 if left else 0)


topics.add_command(read)


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the differences.")
def check(*, as_json: bool) -> None:
    """Say what differs from the declaration, and exit 1 if anything does; change nothing."""
    differences = awaited(declared.check(settings()))
    if as_json:
        click.echo(json.dumps(differences, indent=2))
    else:
        for line in differences or [f"All {len(declared.TOPICS)} topics are as declared."]:
            click.echo(line)
    sys.exit(1 if differences else 0)
