"""`audit`: has anybody changed history?

roots         the roots of closed days: one seal, written down elsewhere, vouches for all before
verify        every chain and root made again from the rows, and compared with Kafka's copy
close         what projectors do once a day, for who cannot wait for them
proof         that one event was among those of its day; check-proof needs no database
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

import click
import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import opened_pool
from ledger_streams.audit import database as postgres_audit
from ledger_streams.audit.database import STATEMENT_S_MAX, audited
from ledger_streams.audit.day_close import NOTHING, close_and_publish
from ledger_streams.audit.proofs import Proof, proves
from ledger_streams.audit.proofs import proof as proof_of
from ledger_streams.audit.roots import Root
from ledger_streams.audit.verification import verify_history
from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.settings import Settings, settings
from ledger_streams.wire.repeated_keys import PairsRead

GENTLY: Final = 10
"""Niceness: a payment goes first."""
FINDING_COLUMNS: Final = ("table", "of", "at", "day", "what")


@click.group()
def audit() -> None:
    """Tamper evidence: hash chains of all events, and Merkle roots of days."""


@audit.command("roots")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all of each root, as on Kafka.")
def roots_(as_json: bool) -> None:
    """Print the closed days, to be written down elsewhere: the last seal covers every day before it."""
    found = run_async(_roots(settings()))
    if as_json:
        print_json(found)
    else:
        rows = [(root.day, root.leaves, root.root, root.seal) for root in found]
        click.echo(table("Closed days", ("day", "rows", "root", "seal"), rows, numbers=("rows",)))


@audit.command()
@click.option("--gently", is_flag=True, help="Give way to all else on the machine.")
def close(gently: bool) -> None:
    """Close the days that have ended, unless they are closed: roots into the database and onto Kafka.

    The first day to be closed is the first whole one, in UTC, in which records could be projected.
    """
    if gently:
        os.nice(GENTLY)
    made = run_async(close_and_publish(settings()))
    if not made:
        click.echo(NOTHING)
    for root in made:
        click.echo(f"Day {root.day}: {root.leaves:,} rows, root {root.root}, seal {root.seal}")


@audit.command()
@click.option("--from", "from_day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day and later ones.")
@click.option("--wallet", "wallet_id", type=click.UUID, help="Only this wallet's chain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(from_day: object, wallet_id: object, as_json: bool) -> None:
    """Find rows of history that were changed, put in or taken away; exit 1 when there are any."""
    day = str(from_day)[:10] if from_day else None
    result = run_async(verify_history(settings(), day, str(wallet_id) if wallet_id else None))
    if as_json:
        print_json(result)
    else:
        click.echo(
            f"{result.events:,} events, {result.wallet_events:,} events of wallets, {result.days:,} closed "
            f"days in {result.seconds:,} s."
        )
        if result.archived:
            click.echo(f"{result.archived:,} of the events are archived: `archive verify` looks at those.")
        rows = [msgspec.structs.astuple(found) for found in result.findings]
        click.echo(table("NOT AS WRITTEN", FINDING_COLUMNS, rows) if rows else "Nothing was touched.")
    sys.exit(result.exit_code)


@audit.command()
@click.argument("event_id")
def proof(event_id: str) -> None:
    """Print, as JSON, the proof that an event is among those of its closed day."""
    try:
        print_json(run_async(_proof(settings(), str(UUID(event_id)))))
    except ValueError as error:
        raise click.UsageError(f"EVENT_ID: {error}") from error


@audit.command("check-proof")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--root", help="The day's root as it was written down elsewhere.")
def check_proof(file: Path, root: str | None) -> None:
    """Check a proof, of a file or - for stdin, without any server; exit 1 when it proves nothing.

    Without --root it is checked against the root in the proof itself: compare that one by eye.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        given = msgspec.json.decode(text, type=Proof)
        if PairsRead(text.encode()).repeated is not None:
            raise ValueError("a key stands twice in one object")
        holds = proves(given) and root in (None, given.root)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise click.ClickException(f"this is no proof: {error}") from error
    if not holds:
        raise click.ClickException("the proof does not lead from this event to that root")
    click.echo(f"event {given.event_id} is in day {given.day} of root {given.root}")
    click.echo(given.content)


async def _roots(config: Settings) -> list[Root]:
    async with opened_pool(config.postgres, connections_max=1) as pool:
        return await postgres_audit.roots(pool)


async def _proof(config: Settings, event_id: str) -> Proof:
    async with (
        opened_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool,
        audited(pool) as look,
    ):
        return await proof_of(look, config.topic(topics.WALLET_EVENTS), event_id)
