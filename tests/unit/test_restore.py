"""Restoring: a table takes what workers wrote onto its changelog, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ledger_streams.engine.state.restore import apply_records, source_header
from ledger_streams.engine.state.store import PartitionStore, Position, TableSpec
from ledger_streams.errors import Unreadable
from ledger_streams.metrics import CHANGELOG_FOREIGN_RECORDS

OWN = ((source_header(None), b"7"),)
FOREIGN = [(), (("traceparent", b"00-1"),), ((source_header("second"), b"9"),)]


def read_form(value: bytes | None) -> bytes:
    """Refuse what no worker writes, as the wallets table does."""
    if value is None or not value.startswith(b"{"):
        raise Unreadable(reason="invalid", detail="value: is not valid JSON")
    return value


class Store:
    spec: TableSpec[Any] = TableSpec(
        name="toys", help="", source="in", changelog="out", encode=bytes, decode=bytes, stored_form=read_form
    )

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}
        self.position = Position(0, None)

    def restore(self, pairs: dict[bytes, bytes], position: Position) -> None:
        self.pairs |= pairs
        self.position = position


def record(offset: int, key: bytes, value: bytes | None, headers: tuple[Any, ...] = OWN) -> SimpleNamespace:
    return SimpleNamespace(partition=0, offset=offset, key=key, value=value, headers=headers)


def foreign() -> float:
    return float(CHANGELOG_FOREIGN_RECORDS.labels("toys")._value.get())


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("value", [None, b"", b"junk", b"{forged}"])
def test_a_record_that_no_worker_wrote_neither_stops_a_takeover_nor_changes_a_table(
    value: bytes | None, headers: tuple[Any, ...]
) -> None:
    store, before = Store(), foreign()
    records = [record(0, b"a", b"{1}"), record(1, b"a", value, headers), record(2, b"b", value, headers)]
    apply_records(cast(PartitionStore, store), records, 3)
    assert store.pairs == {b"a": b"{1}"}
    assert store.position == Position(3, 7)
    assert foreign() - before == 2


def test_a_log_that_has_lost_all_headers_keeps_its_states_so_that_the_takeover_refuses_it() -> None:
    store = Store()
    apply_records(cast(PartitionStore, store), [record(0, b"a", b"{1}", ())], 1)
    assert (store.pairs, store.position) == ({b"a": b"{1}"}, Position(1, None))


def test_a_worker_s_own_record_that_cannot_be_read_still_ends_the_takeover() -> None:
    with pytest.raises(Unreadable):
        apply_records(cast(PartitionStore, Store()), [record(0, b"a", b"junk")], 1)
