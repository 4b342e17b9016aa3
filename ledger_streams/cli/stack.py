"""`stack`: local Kafka, PostgreSQL and Redis servers, for a machine without containers."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from ledger_streams.cli.output import click_error
from ledger_streams.errors import Unavailable
from ledger_streams.local import stack as local
from ledger_streams.local.processes import run_pid
from ledger_streams.settings import settings


@click.group()
def stack() -> None:
    """Kafka, PostgreSQL and Redis servers on this machine's loopback, with data in LEDGER_HOME/stack."""


@stack.command()
@click.option(
    "--brokers",
    type=click.IntRange(1, 9),
    help="Number of Kafka brokers of a new stack.  [default: one per address of LEDGER_KAFKA]",
)
@click.option(
    "--tls",
    "with_tls",
    is_flag=True,
    help="Serve TLS from now on, with generated certificates; Kafka then requires a user and checks ACLs.",
)
def up(*, brokers: int | None, with_tls: bool) -> None:
    """Start the servers that are down; install missing programs.

    The ports are those of LEDGER_KAFKA, LEDGER_POSTGRES and LEDGER_REDIS. Each address of LEDGER_KAFKA
    is a broker; further brokers take the ports after the last address, and the controllers take the
    ports after all brokers. With --tls the command ends by printing the settings to export;
    `eval "$(ledger-streams stack settings)"` sets them in a shell.
    """
    try:
        local.up(settings(), brokers=brokers, with_tls=with_tls, say=click.echo)
        for line in local.exports(settings()):
            click.echo(line)
    except Unavailable as error:
        raise click_error(error) from error


@stack.command("settings")
def settings_() -> None:
    """Print the settings to export for a stack with TLS, including Kafka's administrator password."""
    for line in local.exports(settings()):
        click.echo(line)


@stack.command()
def down() -> None:
    """Stop the servers; their data stays."""
    if pid := run_pid(settings().home):
        click.echo(
            f"Warning: `ledger-streams run` (pid {pid}) loses its servers; stop it with Ctrl-C.",
            err=True,
        )
    try:
        local.down(settings(), say=click.echo)
    except Unavailable as error:
        raise click_error(error) from error


@stack.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def status(*, as_json: bool) -> None:
    """Show each server and whether it answers; exit 1 unless all answer."""
    try:
        servers = local.status(settings())
    except Unavailable as error:
        raise click_error(error) from error
    if as_json:
        click.echo(json.dumps([asdict(server) for server in servers], indent=2))
    else:
        for server in servers:
            pid = "-" if server.pid is None else str(server.pid)
            click.echo(f"{server.name:<10} {server.address:<18} {pid:>8}  {server.detail}")
    sys.exit(0 if all(server.healthy for server in servers) else 1)
