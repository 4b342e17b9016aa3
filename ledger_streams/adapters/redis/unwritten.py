"""Wallets that a process failed to write to the cache; the process ignores their older entries.

The cache may be unreachable for this process alone and keep an entry older than a response already
sent.  The wallet is remembered for the time to live of such an entry.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import takewhile

from ledger_streams.ports import WalletView


class UnwrittenWallets:
    """Lowest valid version of each wallet that was not written."""

    def __init__(self, *, ttl_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """`ttl_s` is how long an entry of the cache lives."""
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._versions: dict[str, tuple[int, float]] = {}
        """Version and expiry of older entries by wallet, oldest note first."""

    def note(self, wallets: Iterable[WalletView]) -> None:
        """Remember wallets that were not written; forget those whose entries have expired."""
        now_s = self._now_s()
        for wallet in wallets:
            version, _ = self._versions.pop(wallet.wallet_id, (0, 0.0))
            self._versions[wallet.wallet_id] = max(version, wallet.version), now_s + self._ttl_s
        expired = takewhile(lambda noted: noted[1][1] <= now_s, self._versions.items())
        for wallet_id in [wallet_id for wallet_id, _ in expired]:
            del self._versions[wallet_id]

    def written(self, wallets: Iterable[WalletView]) -> None:
        """Forget wallets that are written at the noted version or a later one."""
        if self._versions:
            for wallet in wallets:
                if wallet.version >= self._versions.get(wallet.wallet_id, (0, 0.0))[0]:
                    self._versions.pop(wallet.wallet_id, None)

    def outdates(self, wallet: WalletView) -> bool:
        """Tell whether a later version than this entry's is known."""
        noted = self._versions.get(wallet.wallet_id)
        return noted is not None and wallet.version < noted[0]
