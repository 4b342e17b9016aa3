"""Deletion of a stopped worker's tables; its next start restores them from the changelogs.

The command holds the worker's folder lock, so the worker cannot start meanwhile.  A partition is
renamed before it is deleted, so a killed command leaves no partial database that a worker opens.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from ledger_streams.engine.state.store import partition_path
from ledger_streams.reconciliation.rocksdb_tables import TABLES, stored_partitions
from ledger_streams.settings import Settings

DELETED: Final = ".deleted"


@contextmanager
def lock_stopped_worker(config: Settings, worker_id: str) -> Iterator[Path]:
    """Lock a stopped worker's folder and yield its tables folder; raises ClickException if it runs."""
    folder = config.home / "workers" / worker_id
    if not folder.is_dir():
        raise click.ClickException(f"there is no worker {worker_id} below {config.home}: no {folder}")
    with (folder / f"{config.app_id}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.ClickException(f"worker {worker_id} is running: stop it first") from error
        yield folder / "tables"


def partitions_on_disk(tables_dir: Path, names: Collection[str] | None) -> dict[str, list[int]]:
    """Return the partitions on disk of the named tables, or of all."""
    wanted = [spec.name for spec in TABLES if names is None or spec.name in names]
    return {name: stored_partitions(tables_dir, name) for name in wanted}


def remove_partitions(tables_dir: Path, partitions: Mapping[str, Collection[int]]) -> None:
    """Delete the partitions, and the leftovers of an interrupted deletion."""
    for name, numbers in partitions.items():
        for number in numbers:
            path = partition_path(tables_dir, name, number)
            gone = path.with_name(path.name + DELETED)
            if gone.exists():
                shutil.rmtree(gone)
            path.rename(gone)
        for gone in (tables_dir / name).glob(f"*{DELETED}"):
            shutil.rmtree(gone)
