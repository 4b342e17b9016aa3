"""`replay`: rebuild derived data from its source.

    projections   PostgreSQL from Kafka's topics and the event store, then Redis
    tables        a worker's RocksDB from the changelogs, at its next start
    cache         Redis from PostgreSQL
    topics        the topics of an empty Kafka from PostgreSQL
Each is safe to repeat and to kill.
"""

from __future__ import annotations

import sys

import click

from ledger_streams.cli.output import print_json, run_async, table
from ledger_streams.recovery.rebuild_cache import fill_cache
from ledger_streams.settings import settings


@click.group()
def replay() -> None:
    """Rebuild projections, a worker's tables, the cache, or the topics of a lost Kafka."""


@replay.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def projections(as_json: bool) -> None:
    """Rebuild PostgreSQL's projections beside the live ones, swap them, and fill the cache.

    Safe on a running system: projectors wait during the swap only, readers see the old or the new tables.
    Exit 1 without a swap if the rebuilt projections contradict themselves.
    """
    from ledger_streams.recovery.rebuild_projections import rebuild_projections  # noqa: PLC0415 (it imports Faust)

    result = run_async(rebuild_projections(settings(), _say))
    if as_json:
        print_json(result)
    else:
        rows = [(name, result.rows_before[name], count) for name, count in result.rows.items()]
        click.echo(table("Rows", ("table", "before", "rebuilt"), rows, numbers=("before", "rebuilt")))
        click.echo(f"\n{result.from_postgres:,} records came from the event store; {result.seconds:,} s.")
        for found in result.differences:
            click.echo(f"NOT SWAPPED: {found.kind}, {found.subject}: {found.detail}")
    if not result.differences:
        run_async(fill_cache(settings(), _say))
    sys.exit(result.exit_code)


@replay.command()
@click.option("--worker", "worker_id", required=True, help="Id of a stopped worker.")
@click.option(
    "--table", "name", type=click.Choice(["payments", "sagas", "wallets"]), help="Delete this table only."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tables(worker_id: str, name: str | None, yes: bool, as_json: bool) -> None:
    """Delete tables of a stopped worker's RocksDB.  Its next start restores them from the changelogs."""
    from ledger_streams.recovery.rocksdb_removal import (  # noqa: PLC0415 (it imports Faust)
        lock_stopped_worker,
        partitions_on_disk,
        remove_partitions,
    )

    with lock_stopped_worker(settings(), worker_id) as tables_dir:
        found = partitions_on_disk(tables_dir, [name] if name else None)
        for table_name, numbers in found.items():
            click.echo(f"{len(numbers)} partitions of {table_name} in {tables_dir} will be deleted", err=True)
        if not yes:
            click.confirm(
                "The worker restores them from Kafka at its next start. Continue?", abort=True, err=True
            )
        remove_partitions(tables_dir, found)
    if as_json:
        print_json({"worker": worker_id, "deleted": found})
    else:
        rows = [(table_name, len(numbers)) for table_name, numbers in found.items()]
        click.echo(table("Deleted", ("table", "partitions"), rows, numbers=("partitions",)))


@replay.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(as_json: bool) -> None:
    """Write every wallet of PostgreSQL to Redis, unless Redis has a newer version."""
    count = run_async(fill_cache(settings(), _say))
    if as_json:
        print_json({"wallets": count})
    else:
        click.echo(f"{count:,} wallets written to the cache.")


@replay.command("topics")
@click.option(
    "--despite-tables",
    is_flag=True,
    help="Continue although workers' tables have newer wallets, which are lost.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def topics_(despite_tables: bool, as_json: bool) -> None:
    """Fill the empty topics of a lost Kafka from PostgreSQL.  Stop all workers and projectors first.

    It writes nothing and exits 1 if a topic has records, if the projections contradict themselves, or if
    a worker's RocksDB below LEDGER_HOME has a wallet at a later version than PostgreSQL.
    """
    from ledger_streams.recovery.rebuild_topics import rebuild_topics  # noqa: PLC0415 (it imports Faust)

    result = run_async(rebuild_topics(settings(), _say, despite_tables=despite_tables))
    if as_json:
        print_json(result)
    elif result.was_written_before:
        click.echo("Nothing to do: the topics were filled before, and the projections are at their ends.")
    else:
        click.echo(table("Written", ("topic", "records"), [*result.records.items()], numbers=("records",)))
        click.echo(
            f"\n{result.under_way:,} of {result.payments:,} payments continue, {result.wallets:,} wallets."
        )
        for found in result.lost:
            click.echo(f"LOST: wallet {found.subject}: {found.detail}")
    if not result.is_written:
        click.echo("Nothing was written. To continue without the LOST wallet versions, use --despite-tables.")
        sys.exit(1)


def _say(line: str) -> None:
    click.echo(line, err=True)
