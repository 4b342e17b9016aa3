"""Reading wallets: the cache beside the read model, and the one or the other away.

The cache is never needed: away, it costs time and no answer.  What the API has just
seen projected it writes through, so that a balance read after a waited-for payment
cannot meet an older entry.
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
"""Somebody waits for an answer that does not need the cache."""


def id_in_path(text: str, kind: str) -> str:
    """Return the id canonical; raises Rejected 404, for nothing has an id that is none."""
    try:
        return canonical_id(text, field="")
    except Rejected as error:
        raise not_found(f"There is no such {kind}.") from error


async def wallet_or_404(services: Services, wallet_id: str) -> WalletView:
    """Return the wallet as the read model has it; raises Rejected 404."""
    wallet = await services.read_model.wallet(wallet_id)
    if wallet is None:
        raise not_found("There is no such wallet.")
    return wallet


async def cached_wallet(services: Services, wallet_id: str) -> tuple[WalletView, bool]:
    """Return the wallet, and whether it came from the cache; a miss fills the cache."""
    try:
        cached = await services.cache.get(wallet_id)
    except Unavailable as error:
        log.warning("balance read without the cache: %s", error)
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
    """Put the wallets into the cache, unless it is away; `epoch` was the cache's before they were read."""
    try:
        async with asyncio.timeout(CACHE_WRITE_S_MAX):
            await services.cache.put(wallets, epoch)
    except (Unavailable, TimeoutError) as error:
        log.warning("%d wallets not written to the cache: %s", len(wallets), error)
        CACHE_WRITES_SKIPPED.inc(len(wallets))
