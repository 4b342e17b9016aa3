"""`audit`: has anybody changed history?

roots         the roots of closed days: one seal, written down elsewhere, vouches for all before
verify        every chain and root made again from the rows, and compared with Kafka's copy
close         what projectors do once a day, for who cannot wait for them
proof         that one event was among those of its day; check-proof needs no database
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import click
import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import create_pool, open_pool
from ledger_streams.audit.chains import Finding
from ledger_streams.audit.database import STATEMENT_S_MAX, open_audit, roots
from ledger_streams.audit.day_close import NOTHING_CLOSED, close_and_publish
from ledger_streams.audit.proofs import Proof, make_proof, verify_proof
from ledger_streams.audit.published_roots import published_roots
from ledger_streams.audit.roots import Root, disagreements
from ledger_streams.bounded_close import close_within
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.errors import Rejected
from ledger_streams.kafka.log_reader import opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings, settings
from ledger_streams.wire.repeated_keys import PairsRead

GENTLY: Final = 10
"""Niceness: a payment goes first."""
FINDING_COLUMNS: Final = ("table", "of", "at", "day", "what")


class Verified(msgspec.Struct, frozen=True):
    """What was made again and compared, and what is not as it was written."""

    events: int
    archived: int
    """Of the events; what they say is in files, at which `archive verify` looks."""
    wallet_events: int
    days: int
    seconds: float
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """Return 0 when nothing was touched."""
        return 1 if self.findings else 0


@click.group()
def audit() -> None:
    """Tamper evidence: hash chains of all events, and Merkle roots of days."""


@audit.command("roots")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all of each root, as on Kafka.")
def roots_(as_json: bool) -> None:
    """Print the closed days, to be written down elsewhere: the last seal covers every day before it."""
    found = awaited(_roots(settings()))
    if as_json:
        say_json(found)
    else:
        rows = [(root.day, root.leaves, root.root, root.seal) for root in found]
        click.echo(table("Closed days", ("day", "rows", "root", "seal"), rows, numbers=("rows",)))


@audit.command()
@click.option("--gently", is_flag=True, help="Run at low priority; exit with 3 when no day was closed.")
def close(gently: bool) -> None:
    """Close the days that have ended, unless they are closed: roots into the database and onto Kafka.

    The first day to be closed is the first whole one, in UTC, in which records could be projected.
    """
    if gently:
        os.nice(GENTLY)
    made = awaited(close_and_publish(settings()))
    if not made:
        click.echo("No day to close: none has ended since the last one, or another process closes it.")
        sys.exit(NOTHING_CLOSED if gently else 0)
    for root in made:
        click.echo(f"Day {root.day}: {root.leaves:,} rows, root {root.root}, seal {root.seal}")


@audit.command()
@click.option("--from", "from_day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day and later ones.")
@click.option("--wallet", "wallet_id", type=click.UUID, help="Only this wallet's chain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(from_day: object, wallet_id: object, as_json: bool) -> None:
    """Find rows of history that were changed, put in or taken away; exit 1 when there are any."""
    day = str(from_day)[:10] if from_day else None
    result = awaited(verified(settings(), day, str(wallet_id) if wallet_id else None))
    if as_json:
        say_json(result)
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
        say_json(awaited(_proof(settings(), str(UUID(event_id)))))
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
        holds = verify_proof(given) and root in (None, given.root)
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise click.ClickException(f"this is no proof: {error}") from error
    if not holds:
        raise click.ClickException("the proof does not lead from this event to that root")
    click.echo(f"event {given.event_id} is in day {given.day} of root {given.root}")
    click.echo(given.content)


async def verified(config: Settings, from_day: str | None, wallet_id: str | None) -> Verified:
    """Verify the database of `config`: of one wallet, from a day on, or all of it."""
    began_s, wallets = time.monotonic(), config.topic(topics.WALLET_EVENTS)
    events, archived, since, findings = 0, 0, None, list[Finding]()
    pool = await create_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX)
    try:
        async with open_audit(pool) as look:
            if from_day is not None:
                since = _before(look.roots, from_day)
            if wallet_id is None:
                check, findings = await look.events(since)
                events, archived = check.rows, check.archived
            wallet_events, in_wallets = await look.wallets(wallets, since, wallet_id)
            if wallet_id is not None and not wallet_events and not in_wallets:
                in_wallets = [Finding("wallet_events", f"wallet {wallet_id}", "", "", "no such wallet")]
            findings += in_wallets
            if wallet_id is None:
                findings += await look.days(wallets, since, config.audit_key)
                findings += await _elsewhere(config, look.roots)
    finally:
        await close_within("postgres", pool.close())
    days = 0 if wallet_id else sum(1 for root in look.roots if since is None or root.day > since.day)
    seconds = round(time.monotonic() - began_s, 3)
    return Verified(events, archived, wallet_events, days, seconds, findings)


def _before(closed: Sequence[Root], from_day: str) -> Root | None:
    """Return the last closed day before another; raises Rejected for a day in the future."""
    if date.fromisoformat(from_day) > datetime.now(UTC).date():
        detail = f"--from {from_day} is in the future: nothing of it is there to be verified"
        raise Rejected(status=400, title="Unknown day", detail=detail)
    return next((root for root in reversed(closed) if root.day < from_day), None)


async def _elsewhere(config: Settings, here: Sequence[Root]) -> list[Finding]:
    """Compare with the roots on Kafka."""
    topic = config.topic(topics.AUDIT_ROOTS)
    async with opened_log(client_options(config)) as log:
        published = await published_roots(log, topic)
    found = disagreements(here, published)
    return [Finding("audit_roots", topic, "root", day, detail) for day, detail in found]


async def _roots(config: Settings) -> list[Root]:
    async with open_pool(config.postgres, connections_max=1) as pool:
        return await roots(pool)


async def _proof(config: Settings, event_id: str) -> Proof:
    async with (
        open_pool(config.postgres, connections_max=1, statement_timeout_s=STATEMENT_S_MAX) as pool,
        open_audit(pool) as look,
    ):
        return await make_proof(look, config.topic(topics.WALLET_EVENTS), event_id)
