"""Reader of all wallet snapshots, for reconciliation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ledger_streams.adapters.postgres.pool import Pool, acquire_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.views import wallet_view
from ledger_streams.ports import WalletView

STATEMENT_S_MAX: Final = 600.0
"""Time limit; the query reads a whole table."""


async def snapshots(pool: Pool, wallet_ids: Collection[str] | None = None) -> dict[str, WalletView]:
    """Return the wallets (all when None) by id, as of one moment."""
    sql = queries("snapshots")
    async with acquire_connection(pool) as connection:
        if wallet_ids is None:
            rows = await connection.fetch(sql["snapshots"], timeout=STATEMENT_S_MAX)
        else:
            rows = await connection.fetch(sql["snapshots_of"], list(wallet_ids), timeout=STATEMENT_S_MAX)
    return {view.wallet_id: view for view in map(wallet_view, rows)}
