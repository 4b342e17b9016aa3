"""Moments of projection: rows whose day has ended, so that it can be closed."""

from __future__ import annotations

from datetime import datetime

import asyncpg

LONG_AGO = "today - INTERVAL '36 hours'"
"""When a system was at work that yesterday was the first whole day of."""


async def project_earlier(dsn: str, moment: str, *, since: datetime | None = None) -> None:
    """Let rows be projected at `moment`, SQL over `today`: midnight in UTC.

    They are those recorded from `since` on, by the server's clock; without it those of the last hour.
    """
    connection = await asyncpg.connect(dsn, server_settings={"session_replication_role": "replica"})
    today = "(date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
    try:
        for table in ("events", "event_repeats", "wallet_events"):
            await connection.execute(
                f"UPDATE {table} SET recorded_at = {moment.replace('today', today)} "
                "WHERE recorded_at >= coalesce($1, now() - INTERVAL '1 hour')",
                since,
            )
    finally:
        await connection.close()
