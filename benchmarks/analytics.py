"""Analysts' views over a history of two years: how each is carried out, and what it takes.

Each daily view is asked for all days and for the last thirty.  Beside the views are the
owner's own statements (tests/owners_sql.sql), those that read.
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
"""Those of the owner's statements that read."""
OF_A_PAYMENT: Final = ("reads_data", "reads_aggregate")
NOW: Final = f"TIMESTAMPTZ '{END:%Y-%m-%d}'"
"""When the history ends: what the owner asks of the last day is of its last day."""
VIEW: Final = owners("view_of_balances").partition("AS\n")[2].rstrip(";")
"""What a refresh reads, without what it then compares and writes."""


class AnalyticsTiming(msgspec.Struct):
    """How long the history took to make, its size, and what each question took."""

    loading_s: dict[str, float]
    rows: dict[str, int]
    gigabytes: float
    asked: dict[str, QueryTiming]


async def analytics(stack: Settings, *, events: int) -> AnalyticsTiming:
    """Make the history and ask everything of it."""
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
    """Return the owner's statements that read, of a wallet and a payment that are there."""
    wallet_id = await connection.fetchval(
        "SELECT min(wallet_id::text) FROM wallet_balances WHERE currency = 'EUR'"
    )
    payment_id = await connection.fetchval("SELECT min(payment_id::text) FROM payments")
    ids = {name: payment_id if name in OF_A_PAYMENT else wallet_id for name in OWNERS}
    asked_of = {name: owners(name, ids[name]).replace("NOW()", NOW).rstrip(";") for name in OWNERS}
    return {f"owner's {name}": statement for name, statement in asked_of.items()} | {"owner's view": VIEW}
