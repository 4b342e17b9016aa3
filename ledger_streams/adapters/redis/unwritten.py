"""Wallets that a process could not write to the cache: older entries of them are not served by it.

The cache may be away for a moment for this process alone, and keep an entry that is older than
what a caller has been told.  It is remembered for as long as such an entry can live.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import takewhile

from ledger_streams.ports import WalletView


class UnwrittenWallets:
    """The version below which an entry of each such wallet is out of date."""

    def __init__(self, *, ttl_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        """`ttl_s` is how long an entry of the cache lives."""
        self._ttl_s = ttl_s
        self._now_s = now_s
        self._versions: dict[str, tuple[int, float]] = {}
        """By wallet: the version, and until when an older entry may live; the oldest note first."""

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
        """Forget wallets that are written now, at the version noted or a later one."""
        if self._versions:
            for wallet in wallets:
                if wallet.version >= self._versions.get(wallet.wallet_id, (0, 0.0))[0]:
                    self._versions.pop(wallet.wallet_id, None)

    def outdates(self, wallet: WalletView) -> bool:
        """Say whether a later version of this entry is known to have been there."""
        noted = self._versions.get(wallet.wallet_id)
        return noted is not None and wallet.version < noted[0]
