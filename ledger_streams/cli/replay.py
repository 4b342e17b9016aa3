"""`replay`: what is derived is made again from what it was derived from.

    projections   PostgreSQL, from Kafka's topics and the event store, then Redis
    tables        a worker's RocksDB, from the changelogs, at its next start
    cache         Redis, from PostgreSQL
    topics        all of an empty Kafka, from PostgreSQL
Each may be repeated, and killed at any moment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

import click

from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.cli.output import awaited, say_json, table
from ledger_streams.logs import how_far
from ledger_streams.settings import Settings, settings

PUT_AT_ONCE: Final = 1_000
"""Wallets of one round trip to Redis."""
SAY_EVERY_S: Final = 2.0
"""Between two lines on how far it is."""


@click.group()
def replay() -> None:
    """Make again what is derived: projections, a worker's tables, the cache; or a Kafka that is lost."""


@replay.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def projections(as_json: bool) -> None:
    """Rebuild PostgreSQL's projections beside the live ones, swap them, and fill the cache.

    Safe beside a living system: projectors wait for the swap only, readers see the old or the new.
    Nothing live is touched before it.  Exit 1 without a swap when what was rebuilt contradicts itself.
    """
    from ledger_streams.recovery.rebuild_projections import rebuild_projections  # noqa: PLC0415 (it imports Faust)

    result = awaited(rebuild_projections(settings(), _say))
    if as_json:
        say_json(result)
    else:
        rows = [(name, result.rows_before[name], count) for name, count in result.rows.items()]
        click.echo(table("Rows", ("table", "before", "rebuilt"), rows, numbers=("before", "rebuilt")))
        click.echo(f"\n{result.from_postgres:,} records that Kafka no longer has; {result.seconds:,} s.")
        for found in result.differences:
            click.echo(f"NOT SWAPPED: {found.kind}, {found.subject}: {found.detail}")
    if not result.differences:
        awaited(fill_cache(settings(), _say))
    sys.exit(result.exit_code)


@replay.command()
@click.option("--worker", "worker_id", required=True, help="The worker, by its id; it has to be stopped.")
@click.option("--table", "name", type=click.Choice(["payments", "sagas", "wallets"]), help="This table only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tables(worker_id: str, name: str | None, yes: bool, as_json: bool) -> None:
    """Delete tables of a stopped worker's RocksDB: its next start rebuilds them from their changelogs."""
    from ledger_streams.recovery.rocksdb_removal import (  # noqa: PLC0415 (it imports Faust)
        lock_stopped_worker,
        partitions_on_disk,
        remove_partitions,
    )

    with lock_stopped_worker(settings(), worker_id) as tables_dir:
        found = partitions_on_disk(tables_dir, [name] if name else None)
        for table_name, numbers in found.items():
            click.echo(f"{len(numbers)} partitions of {table_name} in {tables_dir} are to go", err=True)
        if not yes:
            click.confirm(
                "The worker reads them back from Kafka when it starts. Go on?", abort=True, err=True
            )
        remove_partitions(tables_dir, found)
    if as_json:
        say_json({"worker": worker_id, "deleted": found})
    else:
        rows = [(table_name, len(numbers)) for table_name, numbers in found.items()]
        click.echo(table("Deleted", ("table", "partitions"), rows, numbers=("partitions",)))


@replay.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(as_json: bool) -> None:
    """Put every wallet of PostgreSQL into Redis, except where that has a newer one."""
    count = awaited(fill_cache(settings(), _say))
    if as_json:
        say_json({"wallets": count})
    else:
        click.echo(f"{count:,} wallets are in the cache.")


@replay.command("topics")
@click.option("--despite-tables", is_flag=True, help="Give up what only the workers' tables have.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def topics_(despite_tables: bool, as_json: bool) -> None:
    """Fill the empty topics of a Kafka that has lost everything from PostgreSQL, with everything stopped.

    Nothing is written, exit 1, when topics have records, when the projections contradict themselves, or
    when a worker's RocksDB below LEDGER_HOME has a wallet at a later version than PostgreSQL.
    """
    from ledger_streams.recovery.rebuild_topics import rebuild_topics  # noqa: PLC0415 (it imports Faust)

    result = awaited(rebuild_topics(settings(), _say, despite_tables=despite_tables))
    if as_json:
        say_json(result)
    elif result.was_written_before:
        click.echo("Kafka had been filled before; the projections are at its positions.")
    else:
        click.echo(table("Written", ("topic", "records"), [*result.records.items()], numbers=("records",)))
        click.echo(
            f"\n{result.under_way:,} of {result.payments:,} payments go on, {result.wallets:,} wallets."
        )
        for found in result.lost:
            click.echo(f"LOST: wallet {found.subject}: {found.detail}")
    if not result.is_written:
        click.echo("Nothing was written; --despite-tables gives up what is LOST.")
        sys.exit(1)


def _say(line: str) -> None:
    click.echo(line, err=True)


async def fill_cache(config: Settings, say: Callable[[str], None]) -> int:
    """Put all snapshots into the cache and return how many; raises Unavailable while it is away.

    How far it is, is said once in a while and at the end.
    """
    pool, redis = await create_pool(config.postgres), connect(config.redis)
    try:
        balances = RedisBalances(redis, ttl_s=config.balance_ttl_s)
        epoch = await balances.learn_epoch()
        views = list((await snapshots(pool)).values())
        began_s = said_s = time.monotonic()
        for first in range(0, len(views), PUT_AT_ONCE):
            await balances.put(views[first : first + PUT_AT_ONCE], epoch)
            done, now_s = min(first + PUT_AT_ONCE, len(views)), time.monotonic()
            if now_s - said_s >= SAY_EVERY_S or done == len(views):
                said_s = now_s
                say(how_far(done, len(views), "wallets in the cache", now_s - began_s))
        return len(views)
    finally:
        await close_within("redis", redis.aclose())
        await close_within("postgres", pool.close())
