"""Analysts' views over a history of two years: how each is carried out, and what it takes.

Each daily view is asked for all days and for the last thirty; beside the views are two
questions to the event store itself: a sum over the last day, and a field that only some
events have.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.settings import Settings
from tests.bench.history import END, Asked, asked, fill, own_database

WALLETS: Final = 20_000
"""Of each currency."""
DAILY: Final = ("payments_per_day", "success_per_day", "volume_per_day", "time_to_complete_per_day")
STANDING: Final = ("wallets_by_size", "money_in_transit")
LAST_DAYS: Final = f"day >= DATE '{END:%Y-%m-%d}' - 30"
DEDUCTED_IN_A_DAY: Final = f"""
SELECT event_data ->> 'currency' AS currency, sum((event_data ->> 'amount')::numeric) AS total_amount
  FROM events
 WHERE event_type = 'WalletDeducted' AND occurred_at >= TIMESTAMPTZ '{END:%Y-%m-%d}' - INTERVAL '24 hours'
 GROUP BY 1"""
NEW_FIELD: Final = """
SELECT event_data ->> 'new_field' FROM events
 WHERE event_type = 'PaymentCompleted' AND event_data ? 'new_field'"""


class Analyzed(msgspec.Struct):
    """How long the history took to make, its size, and what each question took."""

    loading_s: dict[str, float]
    rows: dict[str, int]
    gigabytes: float
    asked: dict[str, Asked]


async def analytics(stack: Settings, *, events: int) -> Analyzed:
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
        questions |= {"WalletDeducted in 24 h": DEDUCTED_IN_A_DAY, "new_field": NEW_FIELD}
        answers = {name: await asked(connection, question) for name, question in questions.items()}
        size_bytes = await connection.fetchval("SELECT pg_database_size(current_database())")
        return Analyzed(loading_s, rows, round(size_bytes / 1e9, 2), answers)
