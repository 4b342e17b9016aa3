"""A stopped worker's tables are deleted partition by partition, and a half-deleted one is never opened."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ledger_streams.recovery.rocksdb_removal import lock_stopped_worker, partitions_on_disk, remove_partitions
from ledger_streams.settings import Settings


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    for name in ("payments/0", "payments/3", "wallets/1"):
        folder = tmp_path / "workers" / "7" / "tables" / name
        folder.mkdir(parents=True)
        (folder / "CURRENT").write_text("a file of RocksDB")
    return Settings(home=tmp_path)


def test_only_the_named_tables_are_deleted(config: Settings) -> None:
    with lock_stopped_worker(config, "7") as tables_dir:
        assert partitions_on_disk(tables_dir, None) == {"payments": [0, 3], "sagas": [], "wallets": [1]}
        remove_partitions(tables_dir, partitions_on_disk(tables_dir, ["payments"]))
        assert partitions_on_disk(tables_dir, None) == {"payments": [], "sagas": [], "wallets": [1]}


def test_leftovers_of_a_killed_deletion_are_no_partition_and_go_with_the_next_one(config: Settings) -> None:
    with lock_stopped_worker(config, "7") as tables_dir:
        (tables_dir / "payments" / "3").rename(tables_dir / "payments" / "3.deleted")
        assert partitions_on_disk(tables_dir, ["payments"]) == {"payments": [0]}
        remove_partitions(tables_dir, partitions_on_disk(tables_dir, ["payments"]))
        assert list((tables_dir / "payments").iterdir()) == []


def test_a_locked_folder_is_not_deleted(config: Settings) -> None:
    with (
        lock_stopped_worker(config, "7"),
        pytest.raises(click.ClickException, match="worker 7 is running"),
        lock_stopped_worker(config, "7"),
    ):
        raise AssertionError("the lock was given twice")
