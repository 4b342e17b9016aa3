"""Reconciliation across stores: it finds each kind of difference, and reports none on a running system."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from ledger_streams.adapters.postgres.parked_views import ParkedRecord
from ledger_streams.ports import BalanceView, WalletView
from ledger_streams.reconciliation.wallets import (
    LastRecord,
    LogCheck,
    WalletState,
    cache_differences,
    drop_caught_up,
    parked_differences,
    state_of,
    table_differences,
    totals,
)

AT = "2026-11-24T22:00:00.000000Z"
TOPIC = ("wallet-events", 0)


def wallet(name: str, version: int, balance: str) -> WalletView:
    balances = {"EUR": BalanceView(balance, "0.00", balance, "0.00")}
    return WalletView(name, "user", "open", version, balances, AT)


def record(offset: int, view: WalletView) -> SimpleNamespace:
    value = msgspec.json.encode({"aggregate_id": view.wallet_id, "data": {}, "wallet": state_of(view)})
    return SimpleNamespace(offset=offset, value=value)


def checked(
    records: list[WalletView], snapshots: list[WalletView], *, projected_to: int
) -> list[tuple[str, str, str]]:
    check = LogCheck({view.wallet_id: view for view in snapshots}, {TOPIC: projected_to})
    check.add(TOPIC, [record(offset, view) for offset, view in enumerate(records)])
    return [(found.kind, found.subject, found.detail) for found in check.differences()]


def test_a_log_and_snapshots_that_agree_have_no_differences() -> None:
    log = [wallet("a", 1, "0.00"), wallet("a", 2, "5.00"), wallet("b", 1, "0.00")]
    assert checked(log, [log[1], log[2]], projected_to=3) == []


def test_another_figure_at_the_same_version_is_a_difference() -> None:
    ((kind, subject, detail),) = checked([wallet("a", 1, "5.00")], [wallet("a", 1, "6.00")], projected_to=1)
    assert (kind, subject) == ("log_is_snapshot", "a EUR")
    assert "log available 5.00" in detail
    assert "snapshot available 6.00" in detail


def test_an_event_after_the_snapshots_were_read_is_no_difference() -> None:
    log = [wallet("a", 1, "0.00"), wallet("a", 2, "5.00"), wallet("new", 1, "0.00")]
    assert checked(log, [log[0]], projected_to=1) == []


def test_an_event_that_the_projector_has_passed_but_not_written_is_a_difference() -> None:
    log = [wallet("a", 1, "0.00"), wallet("a", 2, "5.00"), wallet("new", 1, "0.00")]
    assert checked(log, [log[0]], projected_to=3) == [
        ("log_is_projected", "a", "log version 2, snapshot version 1"),
        ("log_is_projected", "new", "log version 1, snapshot version none"),
    ]


def test_a_snapshot_that_the_log_never_had_is_a_difference() -> None:
    log = [wallet("a", 1, "0.00")]
    assert checked(log, [wallet("a", 3, "0.00"), wallet("ghost", 1, "0.00")], projected_to=1) == [
        ("snapshot_is_in_log", "a", "log version 1, snapshot version 3"),
        ("snapshot_is_in_log", "ghost", "log version none, snapshot version 1"),
    ]


def test_the_cache_differs_by_version_or_by_content() -> None:
    snapshots = {"a": wallet("a", 2, "5.00"), "b": wallet("b", 2, "5.00"), "c": wallet("c", 2, "5.00")}
    cached = {"a": wallet("a", 2, "5.00"), "b": wallet("b", 1, "0.00"), "c": wallet("c", 2, "7.00")}
    found = cache_differences(snapshots, cached)
    assert [difference.subject for difference in found] == ["b", "c EUR"]


def test_a_table_may_be_behind_the_log_but_not_differ_from_what_it_has_read() -> None:
    last = {
        name: LastRecord(0, offset, state_of(wallet(name, 2, "5.00"))) for offset, name in enumerate("abcd")
    }
    table: list[tuple[str, WalletState]] = [
        ("a", state_of(wallet("a", 2, "5.00"))),
        ("b", state_of(wallet("b", 2, "6.00"))),
        ("c", state_of(wallet("c", 1, "0.00"))),
        ("ghost", state_of(wallet("ghost", 1, "0.00"))),
    ]
    ahead: dict[str, WalletState] = {}
    found = table_differences(table, last, partition=0, changelog_next=4, ahead=ahead)
    assert [each.subject for each in found] == ["b EUR", "c", "d"]
    assert ahead == {"ghost": table[3][1]}
    behind = table_differences(table, last, partition=0, changelog_next=2, ahead=ahead)
    assert [each.subject for each in behind] == ["b EUR"]


def test_a_table_value_ahead_of_the_log_is_found_in_later_records_at_its_version() -> None:
    ahead = {name: state_of(wallet(name, 2, "5.00")) for name in ("same", "other", "missing")}
    log = [wallet("same", 1, "0.00"), wallet("same", 2, "5.00"), wallet("other", 2, "6.00")]
    found = drop_caught_up(ahead, [record(offset, view) for offset, view in enumerate(log)])
    assert {each.subject for each in found} == {"other EUR"}
    assert list(ahead) == ["missing"]


def test_totals_are_sums_of_balances_by_currency() -> None:
    assert totals([wallet("a", 1, "5.10"), wallet("b", 1, "-1.05")]) == {"EUR": "4.05"}


def parked_at(offset: int, reason: str, wallet_id: str | None, outcome: str | None = None) -> ParkedRecord:
    return ParkedRecord(*TOPIC, offset, reason, "no", wallet_id, AT, AT, outcome and AT, outcome, 1)


def test_a_parked_record_is_a_difference_of_its_own_and_not_a_missing_row() -> None:
    parked = [
        parked_at(1, "not_storable", "a"),
        parked_at(2, "behind", "a"),
        parked_at(3, "x", "b", "projected"),
    ]
    assert [(found.kind, found.subject) for found in parked_differences(parked)] == [
        ("parked_record", "wallet-events[0]@1"),
        ("parked_record", "wallet-events[0]@2"),
    ]
    check = LogCheck({"a": wallet("a", 1, "0.00")}, {TOPIC: 3}, parked)
    log = [wallet("a", 1, "0.00"), wallet("a", 2, "5.00"), wallet("a", 3, "6.00")]
    check.add(TOPIC, [record(offset, view) for offset, view in enumerate(log)])
    assert check.differences() == []


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"aggregate_id":"b","wallet":null}', b'"\xff"'])
def test_a_record_that_cannot_be_read_is_a_difference_until_it_is_parked_and_no_traceback(
    value: bytes | None,
) -> None:
    broken = SimpleNamespace(offset=1, value=value)
    log = [record(0, wallet("a", 1, "0.00")), broken]
    check = LogCheck({"a": wallet("a", 1, "0.00")}, {TOPIC: 1})
    check.add(TOPIC, log)
    ((kind, subject),) = [(found.kind, found.subject) for found in check.differences()]
    assert (kind, subject) == ("log_is_readable", "wallet-events[0]@1")
    parked = LogCheck({"a": wallet("a", 1, "0.00")}, {TOPIC: 2}, [parked_at(1, "behind", "b")])
    parked.add(TOPIC, log)
    assert parked.differences() == []
    assert list(drop_caught_up({}, [broken])) == []


def test_a_record_that_is_no_event_is_ignored_for_wallets() -> None:
    parked = [parked_at(1, "invalid", "a"), parked_at(2, "wrong_partition", "a")]
    check = LogCheck({"a": wallet("a", 1, "0.00")}, {TOPIC: 3}, parked)
    forged = record(2, wallet("a", 9, "9.00"))
    check.add(TOPIC, [record(0, wallet("a", 1, "0.00")), SimpleNamespace(offset=1, value=b"{"), forged])
    assert (check.differences(), check.last["a"].wallet.version) == ([], 1)
