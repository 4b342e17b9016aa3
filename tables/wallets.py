"""wallet-commands -> wallets (RocksDB) -> wallet-events.

A wallet's changelog record is its event with the state after it, so the table and
the event stream are one.  Written by agents/wallets only.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.wallet import Wallet
from ledger_streams.engine.batches import PartitionBatch
from ledger_streams.engine.state.store import TableSpec

NO_HOLDS: Final = b",{}]"
"""How a wallet without holds ends, as it is kept; most have none."""


def due_ms_of(stored: bytes) -> int | None:
    """Return when the first hold of a wallet, as it is kept, expires."""
    if stored.endswith(NO_HOLDS):
        return None
    holds = wire.decode_wallet_state(stored).holds.values()
    return min((hold.expires_ms for hold in holds if hold.expires_ms is not None), default=None)


WALLETS: Final = TableSpec(
    name="wallets",
    help="balances, limits and status of each wallet",
    source=topics.WALLET_COMMANDS,
    changelog=topics.WALLET_EVENTS,
    encode=wire.encode_wallet_state,
    decode=wire.decode_wallet_state,
    stored_form=lambda event: wire.encode_wallet_state(wire.read_wallet(event)),
    due_ms_of=due_ms_of,
)
ledger.tables.declare(WALLETS)

_changelog = destination(topics.WALLET_EVENTS)


def find(share: PartitionBatch, wallet_id: str) -> Wallet | None:
    """Return the wallet as the cycle has it so far; None when it was never opened."""
    wallet: Wallet | None = share.get_state(wallet_id.encode())
    return wallet


def keep(share: PartitionBatch, wallet: Wallet, event: bytes) -> None:
    """Keep the wallet's new state; `event` is the wallet-events record that brought it about."""
    share.put_state(
        wallet.wallet_id.encode(),
        wallet,
        stored=wire.encode_wallet_state(wallet),
        logged=event,
        changelog=_changelog,
    )
