"""Reconciliation of each wallet across log, PostgreSQL, Redis and RocksDB.

Content is compared at equal versions only, so the comparison is exact while the system runs.  A
store behind the log is a difference when it should have been up to date.  A store ahead of the log
is always a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from ledger_streams.adapters.postgres.parked_views import ParkedRecord
from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.domain.money import format_amount, parse_balance
from ledger_streams.domain.reasons import Reason
from ledger_streams.kafka.log_reader import Partition, Records
from ledger_streams.ports import BalanceView, WalletView

NO_EVENTS: Final = frozenset({Reason.INVALID, Reason.WRONG_PARTITION})
"""Reasons of parked records that did not come from a worker."""


class WalletState(msgspec.Struct, frozen=True):
    """A wallet's content without its time."""

    user_id: str
    status: str
    version: int
    balances: dict[str, BalanceView]


class LoggedEvent(msgspec.Struct, frozen=True):
    """The compared part of a wallet-events record."""

    aggregate_id: str
    wallet: WalletState


class LastRecord(msgspec.Struct, frozen=True):
    """A wallet's last record in the log."""

    partition: int
    offset: int
    wallet: WalletState


_event = msgspec.json.Decoder(LoggedEvent)


class LogCheck:
    """Compares all records of wallet-events with the snapshots.

    `projected_to` is the projected end of each partition before the snapshots were read: the
    snapshots must include every event below it.
    """

    def __init__(
        self,
        snapshots: Mapping[str, WalletView],
        projected_to: Mapping[Partition, int],
        parked: Sequence[ParkedRecord] = (),
    ) -> None:
        self._snapshots = snapshots
        self._parked = {((one.topic, one.partition), one.offset): one for one in parked}
        self._projected_to = projected_to
        self._met: set[str] = set()
        self._missed: dict[str, str] = {}
        self._found: list[Difference] = []
        self.last: dict[str, LastRecord] = {}

    def add(self, partition: Partition, records: Records) -> None:
        """Compare the next records of one partition."""
        for record in records:
            if self._is_no_event(partition, record):
                continue
            event = read_logged_event(record)
            if event is None:
                self._found += self._unreadable(partition, record)
                continue
            self.last[event.aggregate_id] = LastRecord(partition[1], record.offset, event.wallet)
            self._compare(event, is_projected=record.offset < self._projected_to[partition])

    def differences(self) -> list[Difference]:
        """Return the differences; call it after the whole log has been added."""
        waiting = {one.aggregate_id for one in self._parked.values() if one.outcome is None}
        missed = [
            Difference("log_is_projected", wallet, detail)
            for wallet, detail in self._missed.items()
            if wallet not in waiting  # a difference of its own says why
        ]
        return [*self._found, *missed, *self._ahead_of_log()]

    def _is_no_event(self, partition: Partition, record: Any) -> bool:
        """Tell whether a record was parked as no event of a worker; it is not compared."""
        parked = self._parked.get((partition, record.offset))
        return parked is not None and parked.reason in NO_EVENTS

    def _unreadable(self, partition: Partition, record: Any) -> Iterator[Difference]:
        """Report an unreadable record that is not parked; a parked one is reported by its row."""
        if (partition, record.offset) not in self._parked:
            place = f"{partition[0]}[{partition[1]}]@{record.offset}"
            yield Difference(
                "log_is_readable", place, "the record is not a wallet event and is not parked yet"
            )

    def _compare(self, event: LoggedEvent, *, is_projected: bool) -> None:
        snapshot, wallet_id = self._snapshots.get(event.aggregate_id), event.aggregate_id
        version = 0 if snapshot is None else snapshot.version
        if snapshot is not None and event.wallet.version == version:
            self._met.add(wallet_id)
            self._found += state_differences(
                "log_is_snapshot", wallet_id, ("log", event.wallet), ("snapshot", state_of(snapshot))
            )
        elif event.wallet.version > version and is_projected:
            self._missed[wallet_id] = (
                f"log version {event.wallet.version}, snapshot version {version or 'none'}"
            )

    def _ahead_of_log(self) -> Iterator[Difference]:
        for wallet_id, snapshot in self._snapshots.items():
            last = self.last.get(wallet_id)
            if last is None or last.wallet.version < snapshot.version:
                in_log = "none" if last is None else last.wallet.version
                detail = f"log version {in_log}, snapshot version {snapshot.version}"
                yield Difference("snapshot_is_in_log", wallet_id, detail)


def read_logged_event(record: Any) -> LoggedEvent | None:
    """Read the compared part of a wallet-events record; None when it is not a wallet event."""
    try:
        return _event.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def parked_differences(parked: Iterable[ParkedRecord]) -> list[Difference]:
    """Return a difference with the reason for each parked record that waits."""
    return [
        Difference("parked_record", one.place, f"not projected, parked as {one.reason}: {one.detail}")
        for one in parked
        if one.outcome is None
    ]


def cache_differences(
    snapshots: Mapping[str, WalletView], cached: Mapping[str, WalletView]
) -> list[Difference]:
    """Compare cached wallets with snapshots that were read earlier, while nothing is in flight."""
    found: list[Difference] = []
    for wallet_id, entry in cached.items():
        snapshot = snapshots.get(wallet_id)
        if snapshot is None or snapshot.version != entry.version:
            known = "none" if snapshot is None else snapshot.version
            detail = f"snapshot version {known}, cache version {entry.version}"
            found.append(Difference("cache_is_snapshot", wallet_id, detail))
        else:
            sides = ("snapshot", state_of(snapshot)), ("cache", state_of(entry))
            found += state_differences("cache_is_snapshot", wallet_id, *sides)
    return found


def table_differences(
    table: Iterable[tuple[str, WalletState]],
    last: Mapping[str, LastRecord],
    *,
    partition: int,
    changelog_next: int,
    ahead: dict[str, WalletState],
) -> Iterator[Difference]:
    """Compare one partition of a worker's RocksDB, which has read the log up to `changelog_next`.

    Wallets later than the log as it was read go to `ahead`: the log may have grown since.
    """
    seen: set[str] = set()
    for wallet_id, state in table:
        seen.add(wallet_id)
        record = last.get(wallet_id)
        if record is None or record.wallet.version < state.version:
            ahead[wallet_id] = state
        elif record.wallet.version == state.version:
            yield from state_differences("table_is_log", wallet_id, ("log", record.wallet), ("table", state))
        elif record.offset < changelog_next:
            detail = f"log version {record.wallet.version}, table version {state.version}"
            yield Difference("table_is_log", wallet_id, detail)
    for wallet_id, record in last.items():
        if record.partition == partition and record.offset < changelog_next and wallet_id not in seen:
            detail = f"log version {record.wallet.version}, table has no such wallet"
            yield Difference("table_is_log", wallet_id, detail)


def drop_caught_up(ahead: dict[str, WalletState], records: Records) -> Iterator[Difference]:
    """Compare the states in `ahead` with further records of the log; remove those that are found."""
    for record in records:
        event = read_logged_event(record)
        state = None if event is None else ahead.get(event.aggregate_id)
        if event is not None and state is not None and state.version == event.wallet.version:
            del ahead[event.aggregate_id]
            yield from state_differences(
                "table_is_log", event.aggregate_id, ("log", event.wallet), ("table", state)
            )


def state_differences(
    kind: str, wallet_id: str, one: tuple[str, WalletState], other: tuple[str, WalletState]
) -> list[Difference]:
    """Return the differences between two states of one version, by field and currency."""
    (one_name, a), (other_name, b) = one, other
    if a == b:
        return []
    found = [
        Difference(
            kind, wallet_id, f"{one_name} {name} {getattr(a, name)}, {other_name} {name} {getattr(b, name)}"
        )
        for name in ("user_id", "status")
        if getattr(a, name) != getattr(b, name)
    ]
    for currency in sorted({*a.balances, *b.balances}):
        left, right = _figures(a.balances.get(currency)), _figures(b.balances.get(currency))
        if left != right:
            detail = f"{one_name} {left}, {other_name} {right}"
            found.append(Difference(kind, f"{wallet_id} {currency}", detail))
    return found


def totals(wallets: Iterable[WalletView]) -> dict[str, str]:
    """Return the sum of all balances by currency."""
    sums: Counter[str] = Counter()
    for wallet in wallets:
        for currency, amounts in wallet.balances.items():
            sums[currency] += parse_balance(amounts.balance, currency)
    return {currency: format_amount(sums[currency], currency) for currency in sorted(sums)}


def state_of(view: WalletView) -> WalletState:
    """Return a view's content."""
    return WalletState(view.user_id, view.status, view.version, view.balances)


def _figures(balance: BalanceView | None) -> str:
    if balance is None:
        return "none"
    values: dict[str, Any] = msgspec.structs.asdict(balance)
    return " ".join(f"{name} {value}" for name, value in values.items())
