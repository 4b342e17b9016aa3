"""`tables`: the tables in a worker's RocksDB, read-only, while the worker may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ledger_streams import topics
from ledger_streams.cli.output import print_json, table
from ledger_streams.settings import settings

COLUMNS = ("table", "source", "changelog", "partitions", "on disk", "keys", "help")


@click.command()
@click.option("--worker", "worker_id", help="Worker id.  [default: LEDGER_WORKER_ID]")
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder of the worker.  [default: LEDGER_HOME/workers/<worker id>]",
)
@click.option(
    "--partitions",
    "each",
    is_flag=True,
    help="Also show each partition with its positions in changelog and source.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, including each partition.")
def tables(worker_id: str | None, data_dir: Path | None, each: bool, as_json: bool) -> None:
    """Show the tables: source topic, changelog, and a local worker's partitions and keys on disk."""
    from ledger_streams.reconciliation.rocksdb_tables import TABLES, table_partitions  # noqa: PLC0415 (it imports Faust)

    folder = data_dir or settings().home / "workers" / (worker_id or settings().worker_id)
    if not (folder / "tables").is_dir():
        raise click.ClickException(
            f"no tables in {folder.absolute()}: set --worker to the id of a worker that has run on this "
            "machine, and LEDGER_HOME to its home folder"
        )
    found = {spec.name: table_partitions(folder / "tables", spec.name) for spec in TABLES}
    if as_json:
        print_json(
            [
                _document(spec.name, spec.source, spec.changelog, spec.help, found[spec.name])
                for spec in TABLES
            ]
        )
        return
    rows = [
        (
            spec.name,
            spec.source,
            spec.changelog,
            topics.spec(spec.source).partitions,
            len(found[spec.name]),
            f"{sum(part.keys for part in found[spec.name]):,}",
            spec.help,
        )
        for spec in TABLES
    ]
    click.echo(table(f"Tables in {folder}", COLUMNS, rows, numbers=COLUMNS[3:6]))
    if each:
        click.echo("\n" + _each(found))


def _document(name: str, source: str, changelog: str, about: str, found: Sequence[Any]) -> dict[str, object]:
    return {
        "table": name,
        "source": source,
        "changelog": changelog,
        "partitions": topics.spec(source).partitions,
        "keys": sum(part.keys for part in found),
        "help": about,
        "on_disk": found,
    }


def _each(found: Mapping[str, Sequence[Any]]) -> str:
    columns = ("table", "partition", "keys", "changelog next", "source next")
    rows = [
        (name, part.partition, f"{part.keys:,}", part.position.changelog_next, part.position.source_next)
        for name, parts in found.items()
        for part in parts
    ]
    return table("Partitions", columns, rows, numbers=columns[1:])
