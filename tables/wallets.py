"""wallet-commands -> wallets (RocksDB) -> wallet-events.

A wallet event carries the wallet's state after it, so wallet-events is the table's changelog.
Only agents/wallets writes it.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.domain.wallet import Wallet
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic
from ledger_streams.engine.state.store import TableSpec

NO_HOLDS: Final = b",{}]"
"""The last bytes of a stored wallet without holds; most have none."""


def due_ms_of(stored: bytes) -> int | None:
    """Return when the first hold of a stored wallet expires, in ms; None when no hold does."""
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


class WalletsTable:
    """Finds and keeps wallets."""

    def __init__(self, changelog: PartitionedTopic) -> None:
        self._changelog = changelog

    def find(self, batch: PartitionBatch, wallet_id: str) -> Wallet | None:
        """Return the wallet, with the changes of the current cycle; None when it was never opened."""
        wallet: Wallet | None = batch.get_state(wallet_id.encode())
        return wallet

    def keep(self, batch: PartitionBatch, wallet: Wallet, event: bytes) -> None:
        """Store the wallet's new state; `event` is the wallet-events record that leads to it."""
        batch.put_state(
            wallet.wallet_id.encode(),
            wallet,
            stored=wire.encode_wallet_state(wallet),
            logged=event,
            changelog=self._changelog,
        )
