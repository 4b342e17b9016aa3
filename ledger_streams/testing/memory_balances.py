"""In-memory twin of the balance cache, with the same contract."""

from __future__ import annotations

from collections.abc import Sequence

from ledger_streams.ports import WalletView


class MemoryBalances:
    """`ports.BalanceCache` in a dict; nothing ever expires, and only `begin_epoch` ends an epoch."""

    def __init__(self) -> None:
        self._wallets: dict[str, tuple[WalletView, str]] = {}
        self._epochs = 1

    @property
    def epoch(self) -> str:
        """The current epoch."""
        return f"memory-{self._epochs}"

    async def learn_epoch(self) -> str:
        """Return the current epoch."""
        return self.epoch

    def begin_epoch(self) -> None:
        """Start a new epoch, as a cache does that was restored from an older state."""
        self._epochs += 1

    async def get(self, wallet_id: str) -> WalletView | None:
        """Return the cached wallet, or None."""
        wallet, epoch = self._wallets.get(wallet_id, (None, ""))
        return wallet if epoch == self.epoch else None

    async def put(self, wallets: Sequence[WalletView], epoch: str | None = None) -> None:
        """Store each unless a newer version is there."""
        for wallet in wallets:
            known_in = self.epoch if epoch is None else epoch
            cached, cached_in = self._wallets.get(wallet.wallet_id, (None, ""))
            rank = wallet.version, known_in == self.epoch
            if cached is None or rank >= (cached.version, cached_in == self.epoch):
                self._wallets[wallet.wallet_id] = wallet, known_in
