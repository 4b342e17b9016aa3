"""`ledger-streams topics`: create the topics as they are declared, or say what differs."""

from __future__ import annotations

import json
import sys

import click

from ledger_streams import rights
from ledger_streams import topics as declared
from ledger_streams.cli.output import awaited
from ledger_streams.cli.topics_read import read
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.acls import grant
from ledger_streams.kafka_settings import client_options
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


@topics.command()
@click.option(
    "--principal",
    "principals",
    multiple=True,
    metavar="ROLE=USER",
    help="Print the rights of this role alone, for this principal, as worker=User:ann; repeatable.  "
    "[default: every role for User:<role>]",
)
@click.option("--apply", "is_applied", is_flag=True, help="Grant them; for an administrator of the cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, an operation each.")
def acls(*, principals: tuple[str, ...], is_applied: bool, as_json: bool) -> None:
    """Print all that each role needs on a Kafka with an authorizer, as kafka-acls commands."""
    config, chosen = settings(), _principals(principals)
    entries = [acl for role, user in chosen.items() for acl in rights.acls(config, role, user)]
    if is_applied:
        try:
            click.echo(f"granted {awaited(grant(client_options(config), entries))} rights", err=as_json)
        except Unavailable as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([acl._asdict() for acl in entries], indent=2))
    elif not is_applied:
        for role, user in chosen.items():
            click.echo(f"# {role}")
            for line in rights.commands(config, role, user):
                click.echo(line)


def _principals(given: tuple[str, ...]) -> dict[rights.Role, str]:
    """Return the principal of each role that is wanted; UsageError for words that say none."""
    chosen: dict[rights.Role, str] = {}
    for words in given:
        name, _, user = words.partition("=")
        role = next((one for one in rights.ROLES if one == name), None)
        if role is None or not user.partition(":")[2]:
            wanted = f"ROLE=USER, ROLE one of {', '.join(rights.ROLES)} and USER as in User:ledger-{name}"
            raise click.UsageError(f"--principal {words!r} must be {wanted}")
        chosen[role] = user
    return chosen or {role: f"User:{role}" for role in rights.ROLES}
