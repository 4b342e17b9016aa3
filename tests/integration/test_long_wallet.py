"""A wallet with a long history: one descent of an index finds the balance at any time."""

from __future__ import annotations

import asyncpg
import pytest

from benchmarks.history import time_query
from benchmarks.wallet import WALLET, balance_at, make_wallet
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.settings import Settings

EVENTS = 20_000
PAGES_MAX = 6
"""The root of the index, a branch, a leaf and its neighbour, and the row's page."""


@pytest.mark.timeout(300)
async def test_a_balance_of_the_past_reads_a_handful_of_pages(schema_only: Settings) -> None:
    connection = await asyncpg.connect(schema_only.postgres)
    try:
        await make_wallet(connection, EVENTS)
        for share in (0, 0.01, 0.5, 0.99, 2):
            (limit, scan) = (found := await balance_at(connection, EVENTS, share)).plan
            assert limit.startswith("Limit: 1 rows"), found.plan
            assert "Index Scan wallet_events_as_of" in scan, found.plan
            assert pages(scan) <= PAGES_MAX, found.plan
        span = (WALLET, EVENTS - 100, EVENTS, None)
        page = await time_query(connection, queries("read_model")["movements"], *span, 10)
        assert "Index Scan wallet_events_pkey" in "\n".join(page.plan)
        turnover = await time_query(connection, queries("read_model")["turnovers"], *span)
        assert "Index Scan wallet_events_pkey" in "\n".join(turnover.plan)
        assert pages(turnover.plan[0]) < 50
    finally:
        await connection.close()


def pages(line: str) -> int:
    """Add up the pages that a line of a plan says were read."""
    hit, read = line.rpartition(", ")[2].removesuffix(" pages").split(" + ")
    return int(hit) + int(read)
