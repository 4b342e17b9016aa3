"""Writes a batch's wallets: events by COPY, snapshots by upsert, and continues each wallet's hash chain."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from ledger_streams.adapters.postgres.copy import columns_of, copy_rows
from ledger_streams.adapters.postgres.hash_chain import GENESIS, chained_wallet_events
from ledger_streams.adapters.postgres.order import check_versions, ordered_at
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.rows import SinkBatch, SnapshotRow, WalletEventRow
from ledger_streams.errors import InvariantBroken

log = logging.getLogger(__name__)
SQL: Final = queries("projections")


async def put_wallets(connection: Connection, batch: SinkBatch, contents: Sequence[bytes]) -> None:
    """Write the events and snapshots of a batch; a gap in a wallet's versions is `InvariantBroken`."""
    if not batch.wallet_events and not batch.snapshots:
        return
    newest = {row.wallet_id: row for row in batch.snapshots}
    wallets = sorted(newest.keys() | {row.wallet_id for row in batch.wallet_events})
    known = await connection.fetch(SQL["wallet_versions"], wallets)
    check_versions(
        batch.wallet_events, newest, {row["wallet_id"]: row["last_event_version"] for row in known}
    )
    late = ordered_at(batch.wallet_events, {row["wallet_id"]: row["latest"] for row in known})
    heads: dict[str, bytes] = {row["wallet_id"]: row["chain_hash"] or GENESIS for row in known}
    events = chained_wallet_events(batch.wallet_events, contents, heads)
    try:
        await _copy_wallet_events(connection, events, late)
    except asyncpg.UniqueViolationError as error:
        raise InvariantBroken(f"a wallet event is stored already: {error.detail}") from error
    ordered = [(*newest[wallet][:-1], heads[wallet]) for wallet in wallets if wallet in newest]
    await connection.execute(SQL["put_snapshots"], *columns_of(ordered, len(SnapshotRow._fields)))


async def _copy_wallet_events(
    connection: Connection,
    events: Sequence[WalletEventRow],
    late: Mapping[tuple[str, int], datetime],
) -> None:
    if not late:
        await copy_rows(connection, "wallet_events", WalletEventRow._fields, events)
        return
    log.warning(
        "%d wallet events have earlier times than their predecessors: a broker's clock went back.", len(late)
    )
    rows = [(*row, late.get((row.wallet_id, row.event_version))) for row in events]
    await copy_rows(connection, "wallet_events", (*WalletEventRow._fields, "ordered_at"), rows)
