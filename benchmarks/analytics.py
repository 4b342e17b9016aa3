"""Analytics: duration and plan of each analysts' view over a history of two years.

Each daily view is queried for all days and for the last thirty.  The reading statements of
tests/owners_sql.sql are measured as well.
"""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.history import END, QueryTiming, fill, own_database, time_query
from ledger_streams.adapters.postgres.pool import Connection
from ledger_streams.settings import Settings
from tests.owners import owners

WALLETS: Final = 20_000
"""Of each currency."""
DAILY: Final = ("payments_per_day", "success_per_day", "volume_per_day", "time_to_complete_per_day")
STANDING: Final = ("wallets_by_size", "money_in_transit")
LAST_DAYS: Final = f"day >= DATE '{END:%Y-%m-%d}' - 30"
OWNERS: Final = (
    "deducted_by_currency",
    "new_field",
    "reads_data",
    "reads_field",
    "reads_aggregate",
    "reads_balance",
    "reads_user",
)
"""Names of the reading statements in tests/owners_sql.sql."""
OF_A_PAYMENT: Final = ("reads_data", "reads_aggregate")
NOW: Final = f"TIMESTAMPTZ '{END:%Y-%m-%d}'"
"""End of the history; statements about the last day use it."""
VIEW: Final = owners("view_of_balances").partition("AS\n")[2].rstrip(";")
"""The reading part of a refresh, without comparing and writing."""


class AnalyticsTiming(msgspec.Struct):
    """Time to create the history, its size, and the time of each query."""

    loading_s: dict[str, float]
    rows: dict[str, int]
    gigabytes: float
    asked: dict[str, QueryTiming]


async def analytics(stack: Settings, *, events: int) -> AnalyticsTiming:
    """Create the history and time every query."""
    async with own_database(stack) as connection:
        loading_s = await fill(connection, events=events, wallets=WALLETS)
        rows = {
            table: await connection.fetchval(f"SELECT count(*) FROM {table}")
            for table in ("events", "wallet_events", "payments", "postings")
        }
        questions = {f"{name}, all": f"SELECT * FROM analytics.{name}" for name in DAILY + STANDING}
        for name in DAILY:
            questions[f"{name}, 30 days"] = f"SELECT * FROM analytics.{name} WHERE {LAST_DAYS}"
        await connection.execute("SELECT refresh_wallet_balances(); ANALYZE wallet_balances")
        questions |= await owners_questions(connection)
        answers = {name: await time_query(connection, question) for name, question in questions.items()}
        size_bytes = await connection.fetchval("SELECT pg_database_size(current_database())")
        return AnalyticsTiming(loading_s, rows, round(size_bytes / 1e9, 2), answers)


async def owners_questions(connection: Connection) -> dict[str, str]:
    """Return the reading statements, with ids of an existing wallet and payment."""
    wallet_id = await connection.fetchval(
        "SELECT min(wallet_id::text) FROM wallet_balances WHERE currency = 'EUR'"
    )
    payment_id = await connection.fetchval("SELECT min(payment_id::text) FROM payments")
    ids = {name: payment_id if name in OF_A_PAYMENT else wallet_id for name in OWNERS}
    asked_of = {name: owners(name, ids[name]).replace("NOW()", NOW).rstrip(";") for name in OWNERS}
    return {f"owner's {name}": statement for name, statement in asked_of.items()} | {"owner's view": VIEW}
