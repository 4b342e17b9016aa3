"""Wallet reads: from the cache, else from the read model.

The cache is optional: without Redis a read takes longer and still succeeds.  The API
writes a wallet that it has just seen projected to the cache, so that a balance read after
`?wait=` does not return an older entry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.metrics import BALANCE_READS, CACHE_WRITES_SKIPPED
from ledger_streams.ports import WalletView
from web.http.payloads import canonical_id
from web.http.problems import not_found
from web.services import Services

log = logging.getLogger(__name__)

CACHE_WRITE_S_MAX: Final = 1.0
"""Maximum time for a write to the cache: the client waits for it, and the response does not need it."""


def id_in_path(text: str, kind: str) -> str:
    """Return the canonical id; raises Rejected 404 for text that is not a UUID."""
    try:
        return canonical_id(text, field="")
    except Rejected as error:
        raise not_found(f"No such {kind}.") from error


async def wallet_or_404(services: Services, wallet_id: str) -> WalletView:
    """Return the wallet from the read model; raises Rejected 404."""
    wallet = await services.read_model.wallet(wallet_id)
    if wallet is None:
        raise not_found("No such wallet.")
    return wallet


async def cached_wallet(services: Services, wallet_id: str) -> tuple[WalletView, bool]:
    """Return the wallet, and whether it came from the cache; a miss fills the cache."""
    try:
        cached = await services.cache.get(wallet_id)
    except Unavailable as error:
        log.warning("Cache unavailable, reading the balance from PostgreSQL: %s", error)
        BALANCE_READS.labels("away").inc()
        return await wallet_or_404(services, wallet_id), False
    BALANCE_READS.labels("miss" if cached is None else "hit").inc()
    if cached is not None:
        return cached, True
    epoch = services.cache.epoch
    wallet = await wallet_or_404(services, wallet_id)
    await write_through(services, [wallet], epoch)
    return wallet, False


async def write_through(services: Services, wallets: Sequence[WalletView], epoch: str) -> None:
    """Write the wallets to the cache; an unavailable cache is logged.

    `epoch` is the cache's epoch from before the wallets were read.
    """
    try:
        async with asyncio.timeout(CACHE_WRITE_S_MAX):
            await services.cache.put(wallets, epoch)
    except (Unavailable, TimeoutError) as error:
        log.warning("Cache unavailable, %d wallets not written to it: %s", len(wallets), error)
        CACHE_WRITES_SKIPPED.inc(len(wallets))
