"""The workers' RocksDB tables, opened read-only while their workers run.

The disk has the state of a worker's last cycle.  After a rebalance an old copy of a partition stays
in another worker's folder; the copy with the highest changelog offset is the current one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
from rocksdict import Rdict

from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.wallet import Wallet
from ledger_streams.engine.state.store import POSITION_KEY, Position, TableSpec, read_only
from ledger_streams.ports import BalanceView
from ledger_streams.reconciliation.wallets import LastRecord, WalletState, table_differences
from tables.payments import PAYMENTS
from tables.sagas import SAGAS
from tables.wallets import WALLETS

TABLES: tuple[TableSpec[Any], ...] = (PAYMENTS, SAGAS, WALLETS)
_position = msgspec.msgpack.Decoder(Position)


class TablePartition(msgspec.Struct, frozen=True):
    """One partition of a table on disk."""

    partition: int
    position: Position
    keys: int


def stored_partitions(tables_dir: Path, table: str) -> list[int]:
    """Return the partitions that have a copy in the folder."""
    folder = tables_dir / table
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


def table_partitions(tables_dir: Path, table: str) -> list[TablePartition]:
    """Return each partition in the folder with its position and number of keys."""
    found: list[TablePartition] = []
    for number in stored_partitions(tables_dir, table):
        database = read_only(tables_dir, table, number)
        keys = sum(1 for _ in _states(database))
        found.append(TablePartition(number, position_of(database), keys))
        database.close()
    return found


def position_of(database: Rdict) -> Position:
    """Return the copy's position in its logs."""
    stored = database.get(POSITION_KEY)
    return Position() if stored is None else _position.decode(stored)


def stored_wallet(home: Path, wallet_id: str) -> Wallet | None:
    """Return the wallet from the copy that has its highest version."""
    found: list[Wallet] = []
    for tables_dir in worker_folders(home):
        for number in stored_partitions(tables_dir, WALLETS.name):
            database = read_only(tables_dir, WALLETS.name, number)
            stored = database.get(wallet_id.encode())
            database.close()
            if stored is not None:
                found.append(WALLETS.decode(stored))
    return max(found, key=lambda wallet: wallet.version, default=None)


def worker_folders(home: Path) -> list[Path]:
    """Return the tables folder of each worker of this machine."""
    return sorted(home.glob("workers/*/tables"))


def tables_below(home: Path) -> Path:
    """Return the folder; raises ClickException when no worker of this machine has tables below it."""
    if not worker_folders(home):
        raise click.ClickException(
            f"no worker has tables below {home.absolute()}: set LEDGER_HOME to the folder of the workers"
        )
    return home


class ComparedTables(NamedTuple):
    """Result of comparing this machine's wallet tables with the log."""

    partitions: int
    differences: list[Difference]
    ahead: dict[str, WalletState]
    """Wallets with a later version than the log as it was read."""


def compare_tables(home: Path, last: Mapping[str, LastRecord]) -> ComparedTables:
    """Compare the newest copy of each wallets partition with the log.

    A partition with wallets in the log and no copy on this machine is a difference: by default each
    machine has a copy of all partitions, active or standby.
    """
    newest = newest_copies(home, WALLETS.name)
    found = list(_missing(home, newest.keys(), {record.partition for record in last.values()}))
    ahead: dict[str, WalletState] = {}
    for number, (changelog_next, tables_dir) in newest.items():
        database = read_only(tables_dir, WALLETS.name, number)
        states = (
            (wallet.wallet_id, state_of_wallet(wallet)) for wallet in map(WALLETS.decode, _values(database))
        )
        found += table_differences(states, last, partition=number, changelog_next=changelog_next, ahead=ahead)
        database.close()
    return ComparedTables(len(newest), found, ahead)


def _missing(home: Path, there: Set[int], logged: Set[int]) -> Iterator[Difference]:
    detail = f"no copy in {home.absolute()}/workers/*/tables: LEDGER_HOME must be the folder of the workers"
    if not there:
        yield Difference("table_is_there", WALLETS.name, detail)
    else:
        for number in sorted(logged - there):
            yield Difference("table_is_there", f"{WALLETS.name}[{number}]", detail)


def further_wallets(home: Path, versions: Mapping[str, int]) -> list[Difference]:
    """Return the wallets whose table version on this machine is above that in `versions`."""
    found: list[Difference] = []
    for number, (_, tables_dir) in newest_copies(home, WALLETS.name).items():
        database = read_only(tables_dir, WALLETS.name, number)
        for wallet in map(WALLETS.decode, _values(database)):
            known = versions.get(wallet.wallet_id, 0)
            if wallet.version > known:
                held = state_of_wallet(wallet).balances
                sums = ", ".join(f"{view.balance} {currency}" for currency, view in held.items())
                detail = f"PostgreSQL version {known}, table version {wallet.version} with {sums}"
                found.append(Difference("table_is_in_postgres", wallet.wallet_id, detail))
        database.close()
    return found


def newest_copies(home: Path, table: str) -> dict[int, tuple[int, Path]]:
    """Return the changelog offset and the folder of each partition's newest copy."""
    newest: dict[int, tuple[int, Path]] = {}
    for tables_dir in worker_folders(home):
        for number in stored_partitions(tables_dir, table):
            database = read_only(tables_dir, table, number)
            copy = position_of(database).changelog_next, tables_dir
            database.close()
            newest[number] = max(newest.get(number, copy), copy)
    return dict(sorted(newest.items()))


def stored_sagas(home: Path) -> Iterator[Saga]:
    """Yield the sagas of the workers of this machine, ended or not."""
    for number, (_, tables_dir) in newest_copies(home, SAGAS.name).items():
        database = read_only(tables_dir, SAGAS.name, number)
        try:
            yield from map(SAGAS.decode, _values(database))
        finally:
            database.close()


def state_of_wallet(wallet: Wallet) -> WalletState:
    """Return the table's wallet in the form of the log."""
    balances = {
        currency: BalanceView(
            available=format_amount(balance.available_minor, currency),
            held=format_amount(balance.held_minor, currency),
            balance=format_amount(balance.balance_minor, currency),
            overdraft_limit=format_amount(balance.overdraft_limit_minor, currency),
        )
        for currency, balance in wallet.balances.items()
    }
    return WalletState(wallet.user_id, wallet.status, wallet.version, balances)


def _states(database: Rdict) -> Iterator[tuple[bytes, bytes]]:
    return ((key, value) for key, value in database.items() if not key.startswith(b"\x00"))


def _values(database: Rdict) -> Iterator[bytes]:
    return (value for _, value in _states(database))
