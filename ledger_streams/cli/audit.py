"""`audit`: detect changes of history.

roots         print the Merkle roots of closed days; a seal kept elsewhere covers all days before it
verify        recompute every hash chain and root from the rows, compare the roots with Kafka's copy
close         close ended days now (projectors do it once a day)
proof         prove that an event is in its closed day; check-proof needs no server
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
from ledger_streams.adapters.postgres.pool import open_pool
from ledger_streams.audit.database import STATEMENT_S_MAX, open_audit, roots
from ledger_streams.audit.day_close import NOTHING_CLOSED, close_and_publish
from ledger_streams.audit.proofs import Proof, make_proof, verify_proof
from ledger_streams.audit.roots import Root
from ledger_streams.audit.verification import verify_history
from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.settings import Settings, settings
from ledger_streams.wire.repeated_keys import PairsRead

GENTLY: Final = 10
"""Niceness of `close --gently`: payments have priority."""
FINDING_COLUMNS: Final = ("table", "of", "at", "day", "what")


@click.group()
def audit() -> None:
    """Tamper evidence: hash chains over all events and Merkle roots of days."""


@audit.command("roots")
@click.option("--json", "as_json", is_flag=True, help="Print whole roots as JSON, as published on Kafka.")
def roots_(as_json: bool) -> None:
    """Print the closed days.  Keep the last seal elsewhere: it covers every day before it."""
    found = run_async(_roots(settings()))
    if as_json:
        print_json(found)
    else:
        rows = [(root.day, root.leaves, root.root, root.seal) for root in found]
        click.echo(table("Closed days", ("day", "rows", "root", "seal"), rows, numbers=("rows",)))


@audit.command()
@click.option("--gently", is_flag=True, help="Run at low CPU priority; exit 3 if no day was closed.")
def close(gently: bool) -> None:
    """Close the days that have ended: write their roots to PostgreSQL and Kafka.  Safe to repeat.

    The first day to be closed is the first whole day (UTC) in which records could be projected.
    """
    if gently:
        os.nice(GENTLY)
    made = run_async(close_and_publish(settings()))
    if not made:
        click.echo("No day to close: none has ended since the last one, or another process closes it.")
        sys.exit(NOTHING_CLOSED if gently else 0)
    for root in made:
        click.echo(f"Day {root.day}: {root.leaves:,} rows, root {root.root}, seal {root.seal}")


@audit.command()
@click.option(
    "--from", "from_day", type=click.DateTime(["%Y-%m-%d"]), help="Verify this day and later ones only."
)
@click.option("--wallet", "wallet_id", type=click.UUID, help="Verify this wallet's chain only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(from_day: object, wallet_id: object, as_json: bool) -> None:
    """Find rows of history that were changed, inserted or deleted; exit 1 if there are any."""
    day = str(from_day)[:10] if from_day else None
    result = run_async(verify_history(settings(), day, str(wallet_id) if wallet_id else None))
    if as_json:
        print_json(result)
    else:
        click.echo(
            f"{result.events:,} events, {result.wallet_events:,} wallet events, {result.days:,} closed "
            f"days verified in {result.seconds:,} s."
        )
        if result.archived:
            click.echo(f"{result.archived:,} of the events are archived: `archive verify` checks those.")
        rows = [msgspec.structs.astuple(found) for found in result.findings]
        click.echo(
            table("NOT AS WRITTEN", FINDING_COLUMNS, rows) if rows else "No differences: nothing was changed."
        )
    sys.exit(result.exit_code)


@audit.command()
@click.argument("event_id")
def proof(event_id: str) -> None:
    """Print the proof, as JSON, that event EVENT_ID is in its closed day."""
    try:
        print_json(run_async(_proof(settings(), str(UUID(event_id)))))
    except ValueError as error:
        raise click.UsageError(f"EVENT_ID: must be a UUID, got {event_id[:60]!r}") from error


@audit.command("check-proof")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--root", help="The day's root as you kept it elsewhere.")
def check_proof(file: Path, root: str | None) -> None:
    """Check the proof in FILE (- for stdin) without any server; exit 1 if it does not hold.

    Without --root it is checked against the root inside the proof: compare that root by eye.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        given = msgspec.json.decode(text, type=Proof)
        if PairsRead(text.encode()).repeated is not None:
            raise ValueError("an object repeats a key")
        holds = verify_proof(given) and root in (None, given.root)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise click.ClickException(f"{file}: not a proof: {error}") from error
    if not holds:
        raise click.ClickException(
            "the proof does not hold: its hashes do not lead from this event to that root"
        )
    click.echo(f"The proof holds: event {given.event_id} is in day {given.day}, root {given.root}.")
    click.echo(given.content)


async def _roots(config: Settings) -> list[Root]:
    async with open_pool(config.postgres, connections_max=1) as pool:
        return await roots(pool)


async def _proof(config: Settings, event_id: str) -> Proof:
    async with (
        open_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool,
        open_audit(pool) as look,
    ):
        return await make_proof(look, config.topic(topics.WALLET_EVENTS), event_id)
