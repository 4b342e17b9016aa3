"""Wallets that could not be written to the cache are remembered until older entries have expired."""

from __future__ import annotations

from ledger_streams.adapters.redis.unwritten import UnwrittenWallets
from ledger_streams.ports import WalletView


def wallet(version: int, wallet_id: str = "w") -> WalletView:
    return WalletView(wallet_id, "u", "open", version, {}, "2026-11-24T22:00:00.000000Z")


def test_an_older_entry_is_out_of_date_until_the_wallet_is_written() -> None:
    unwritten = UnwrittenWallets(ttl_s=300)
    unwritten.note([wallet(9), wallet(7)])
    assert [unwritten.outdates(wallet(version)) for version in (8, 9, 10)] == [True, False, False]
    unwritten.written([wallet(8), wallet(9, "another")])
    assert unwritten.outdates(wallet(8))
    unwritten.written([wallet(9)])
    assert not unwritten.outdates(wallet(8))


def test_a_note_is_forgotten_once_no_older_entry_can_be_there() -> None:
    now_s = 0.0
    unwritten = UnwrittenWallets(ttl_s=300, now_s=lambda: now_s)
    unwritten.note([wallet(9)])
    now_s = 299.0
    unwritten.note([wallet(9, "another")])
    assert unwritten.outdates(wallet(8))
    now_s = 301.0
    unwritten.note([wallet(9, "a third")])
    assert [unwritten.outdates(wallet(8, name)) for name in ("w", "another")] == [False, True]
