"""Wallet: time of past balances and statements of a wallet with a long history.

The points in time are spread over the whole history; events share milliseconds, as in a
busy wallet.  The time is that of the read model's query alone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import msgspec

from benchmarks.history import END, SQL, QueryTiming, own_database, time_query
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.settings import Settings

WALLET: Final = "bbbbbbbb-0000-4000-8000-000000000001"
EVENTS_A_MS: Final = 5
MOMENTS: Final = 10
MONTHS: Final = 24


class HistoryTiming(msgspec.Struct):
    """Query times of one wallet."""

    events: int
    asked: dict[str, QueryTiming]


async def wallet_history(stack: Settings, *, events: int) -> HistoryTiming:
    """Create the wallet and time the queries."""
    async with own_database(stack) as connection:
        await make_wallet(connection, events)
        moments = {
            f"balance at {number * 100 // MOMENTS} %": await balance_at(connection, events, number / MOMENTS)
            for number in range(MOMENTS + 1)
        }
        sql = queries("read_model")
        before = events - events // MONTHS
        page = await time_query(connection, sql["movements"], WALLET, before, events, None, 1000)
        turnover = await time_query(connection, sql["turnovers"], WALLET, before, events, None)
        whole = await time_query(connection, sql["turnovers"], WALLET, 0, events, None)
        statement = {"1000 movements": page, "turnover of a 24th": turnover, "turnover of all": whole}
        return HistoryTiming(events, moments | statement)


async def make_wallet(connection: Connection, events: int) -> None:
    """Create a wallet with `events` events."""
    await connection.execute(SQL["one_wallet"], WALLET, events, EVENTS_A_MS, END)
    await connection.execute("VACUUM (ANALYZE) wallet_events")


async def balance_at(connection: Connection, events: int, share: float) -> QueryTiming:
    """Time the query of the balance after that share of the events."""
    at = END + timedelta(milliseconds=int(events / EVENTS_A_MS * share))
    return await time_query(connection, queries("read_model")["wallet_at"], WALLET, at)
