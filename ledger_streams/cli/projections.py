"""`projections parked`: records that the projector has parked: list, show, retry, discard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import click
import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres.parked_rows import BEHIND
from ledger_streams.adapters.postgres.parked_views import (
    ParkedRecord,
    parked_record,
    parked_records,
)
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import Pool, open_pool
from ledger_streams.adapters.postgres.refusals import NOT_STORABLE
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.cli.output import lines_for_terminal, print_json, run_async, table
from ledger_streams.dlq.letters import key_text
from ledger_streams.domain.ids import is_canonical_id
from ledger_streams.recovery.retry_parked import retry_aggregate
from ledger_streams.settings import settings

T = TypeVar("T")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
OF_A_WALLET: Final = frozenset({NOT_STORABLE, BEHIND})
"""Reasons of parked wallet events that are readable, so later events of the wallet depend on them."""
TOPICS = (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS)
place_arguments = (
    click.argument("topic", type=click.Choice(TOPICS)),
    click.argument("partition", type=click.IntRange(min=0)),
    click.argument("offset", type=click.IntRange(min=0)),
)


@click.group()
def projections() -> None:
    """Maintain the projections in PostgreSQL."""


@projections.group()
def parked() -> None:
    """Records that could not be projected, and later records of the same payment or wallet."""


@parked.command("list")
@click.option("--topic", type=click.Choice(TOPICS), help="Only records of this topic.")
@click.option("--all", "ended", is_flag=True, help="Include retried and discarded records.")
@json_option
def list_(topic: str | None, ended: bool, as_json: bool) -> None:
    """List the parked records, oldest first."""
    name = topic and settings().topic(topic)
    found = run_async(_on_pool(lambda pool: parked_records(pool, topic=name, ended=ended)))
    if as_json:
        print_json(found)
    else:
        click.echo(parked_text(found))


@parked.command()
@place_arguments[0]
@place_arguments[1]
@place_arguments[2]
@json_option
def show(topic: str, partition: int, offset: int, as_json: bool) -> None:
    """Show the parked record of TOPIC at PARTITION and OFFSET with key and value."""
    place = settings().topic(topic), partition
    found = run_async(_on_pool(lambda pool: parked_record(pool, place, offset)))
    if found is None:
        raise click.ClickException(
            f"no parked record {topic}[{partition}]@{offset} (see `projections parked list --all`)"
        )
    about, record = found
    key, value = key_text(record.key), (record.value or b"").decode(errors="backslashreplace")
    if as_json:
        print_json({**msgspec.to_builtins(about), "key": key, "value": value})
    else:
        lines = [f"{name:<12} {text}" for name, text in msgspec.to_builtins(about).items()]
        click.echo(lines_for_terminal("\n".join([*lines, f"{'key':<12} {key}", "", *value.splitlines()])))


@parked.command()
@click.argument("aggregate_id")
@json_option
def retry(aggregate_id: str, as_json: bool) -> None:
    """Project all parked records of the payment or wallet AGGREGATE_ID, in order, all or none.

    Run it when the cause is fixed.  Safe to repeat: each record is projected once.
    """
    if not is_canonical_id(aggregate_id):
        raise click.UsageError(
            f"AGGREGATE_ID: must be a UUID, lower-case and hyphenated, got {aggregate_id[:60]!r}"
        )
    done = run_async(retry_aggregate(settings(), aggregate_id))
    if as_json:
        print_json(done)
        return
    click.echo(f"Projected {done.records:,} parked records of {aggregate_id}.")
    if not done.cached:
        click.echo(
            "Redis unavailable: the cached balance is old; run `ledger-streams replay cache` later.", err=True
        )


@parked.command()
@place_arguments[0]
@place_arguments[1]
@place_arguments[2]
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def discard(topic: str, partition: int, offset: int, yes: bool) -> None:
    """Discard the parked record of TOPIC at PARTITION and OFFSET: it is never projected.

    For records that do not belong to the ledger, such as forged ones. Records parked behind it wait for
    `retry`. A readable event of a wallet cannot be discarded: the wallet's next event depends on it.
    """
    if not yes:
        click.confirm("The record will never be projected. Continue?", abort=True, err=True)
    place = settings().topic(topic), partition
    found = run_async(_on_pool(lambda pool: parked_record(pool, place, offset)))
    if topic == topics.WALLET_EVENTS and found is not None and found[0].reason in OF_A_WALLET:
        raise click.ClickException(
            f"{topic}[{partition}]@{offset} is an event of wallet {found[0].aggregate_id}, on which later "
            "events depend: it cannot be discarded. Fix the cause (`projections parked show`), then run "
            "`projections parked retry`"
        )
    is_done = run_async(_on_pool(lambda pool: PostgresParking(PostgresSink(pool)).discard(place, offset)))
    if not is_done:
        raise click.ClickException(
            f"{topic}[{partition}]@{offset} is not parked, or was retried or discarded before"
        )
    click.echo(f"Discarded {topic}[{partition}]@{offset}; its row stays (`projections parked list --all`).")


async def _on_pool(work: Callable[[Pool], Awaitable[T]]) -> T:
    async with open_pool(settings().postgres) as pool:
        return await work(pool)


def parked_text(found: Sequence[ParkedRecord]) -> str:
    """Return the parked records as a table."""
    if not found:
        return "No parked records."
    columns = ("place", "parked at", "reason", "detail", "of", "bytes", "became")
    rows = [
        (
            one.place,
            one.parked_at,
            one.reason,
            one.detail,
            one.aggregate_id,
            one.value_bytes,
            one.outcome,
        )
        for one in found
    ]
    return table(f"{len(found):,} parked records", columns, rows, numbers=("bytes",))
