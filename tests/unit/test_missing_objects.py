"""Comparisons report a missing object."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger_streams.cli import own_command
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.reconciliation.rocksdb_tables import compare_tables
from ledger_streams.reconciliation.wallets import LastRecord, WalletState
from ledger_streams.settings import Settings
from tables.wallets import WALLETS

LAST = {
    name: LastRecord(partition, 7, WalletState("user", "open", 1, {}))
    for name, partition in (("a", 0), ("b", 3), ("c", 3))
}


@pytest.mark.parametrize("last", [{}, LAST])
def test_reconcile_rocksdb_without_a_table_differs(tmp_path: Path, last: dict[str, LastRecord]) -> None:
    (found,) = compare_tables(tmp_path, last).differences
    assert (found.kind, found.subject) == ("table_is_there", "wallets")
    assert str(tmp_path) in found.detail
    assert "LEDGER_HOME" in found.detail


def test_a_partition_with_wallets_and_no_copy_differs(tmp_path: Path) -> None:
    PartitionStore(tmp_path / "workers" / "1" / "tables", WALLETS, 3).close()
    compared = compare_tables(tmp_path, LAST)
    assert [(one.kind, one.subject) for one in compared.differences if one.kind == "table_is_there"] == [
        ("table_is_there", "wallets[0]")
    ]


def test_a_relative_home_is_resolved_when_the_settings_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEDGER_HOME", raising=False)
    here = Settings()
    monkeypatch.setenv("LEDGER_HOME", "other")
    other = Settings()
    monkeypatch.chdir("/")
    assert (here.home, other.home) == (tmp_path / ".ledger", tmp_path / "other")


@pytest.mark.parametrize(
    "arguments", [("tables",), ("sagas", "list"), ("wallets", "show", "--rocksdb", "w"), ("tables", "--json")]
)
def test_commands_on_missing_tables_exit_1_and_name_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("LEDGER_HOME", str(tmp_path))
    result = CliRunner().invoke(own_command(arguments[0]), arguments[1:])
    assert result.exit_code == 1
    assert str(tmp_path) in result.output
    assert "LEDGER_HOME" in result.output
