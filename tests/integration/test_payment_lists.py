"""Lists over 100,000 payments: each filter reads an index, and no more rows than it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from ledger_streams.adapters.postgres.payment_lists import list_query
from ledger_streams.adapters.postgres.pool import Connection, open_connection
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.ports.payment_lists import PaymentsAsked, Place
from ledger_streams.settings import Settings

ROWS: Final = 100_000
LIMIT: Final = 100
PENDING: Final = 19
NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
BUSY, QUIET, USER = (f"bbbbbbbb-0000-4000-8000-{number:012}" for number in range(3))
FILLED: Final = f"""
INSERT INTO payments (payment_id, kind, status, amount, currency, source_wallet_id, target_wallet_id, user_id,
                      requested_at, ended_at)
SELECT gen_random_uuid(), 'transfer',
       CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 5000 = 1 THEN 'refunded'
            WHEN n >= {ROWS} - {PENDING} THEN 'pending' ELSE 'completed' END,
       1, 'EUR', CASE WHEN n % 2 = 0 THEN '{BUSY}'::uuid ELSE gen_random_uuid() END,
       CASE WHEN n % 4999 = 0 THEN '{QUIET}'::uuid ELSE gen_random_uuid() END,
       CASE WHEN n % 10 = 0 THEN '{USER}'::uuid END,
       timestamptz '{NOON.isoformat()}' + n * interval '1 second',
       CASE WHEN n < {ROWS} - {PENDING} THEN now() END
  FROM generate_series(1, {ROWS}) AS n
"""
ASKED: Final = {
    "all": ("payments_by_status", PaymentsAsked(LIMIT)),
    "a later page": (
        "payments_by_status",
        PaymentsAsked(LIMIT, before=Place(NOON + timedelta(seconds=ROWS // 2), QUIET)),
    ),
    "a time": (
        "payments_by_status",
        PaymentsAsked(LIMIT, since=NOON + timedelta(hours=1), before=Place(NOON + timedelta(hours=2))),
    ),
    **{
        f"status {status}": ("payments_by_status", PaymentsAsked(LIMIT, status=status))
        for status in PaymentStatus
    },
    "a busy wallet": ("payments_by_source", PaymentsAsked(LIMIT, wallet_id=BUSY)),
    "a quiet wallet": ("payments_by_target", PaymentsAsked(LIMIT, wallet_id=QUIET)),
    "what failed of a busy wallet": (
        "payments_by_source",
        PaymentsAsked(LIMIT, wallet_id=BUSY, status=PaymentStatus.FAILED),
    ),
    "what is refunded in part of a busy wallet": (
        "payments_by_source",
        PaymentsAsked(LIMIT, wallet_id=BUSY, status=PaymentStatus.PARTIALLY_REFUNDED),
    ),
    "a user": ("payments_by_user", PaymentsAsked(LIMIT, user_id=USER)),
    "what failed of a user": (
        "payments_by_user",
        PaymentsAsked(LIMIT, user_id=USER, status=PaymentStatus.FAILED),
    ),
    "what failed of a user long ago": (
        "payments_by_user",
        PaymentsAsked(LIMIT, user_id=USER, status=PaymentStatus.FAILED, before=Place(NOON)),
    ),
}


@pytest.fixture
async def filled(schema_only: Settings) -> AsyncIterator[Connection]:
    async with open_connection(schema_only.postgres) as connection:
        await connection.execute(FILLED, timeout=120)
        await connection.execute("ANALYZE payments")
        yield connection


async def test_each_filter_reads_an_index_and_no_more_than_a_page_of_each_status(filled: Connection) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        await filled.execute(f"SET plan_cache_mode = {mode}")
        for case, (index, asked) in ASKED.items():
            query, arguments = list_query(asked)
            used, read = await indexes_and_rows(filled, query, *arguments)
            assert index in used, (case, mode, used)
            assert read <= 2 * LIMIT * len(PaymentStatus), (case, mode)
    query = queries("read_model")["under_way"].removesuffix(";")
    before = NOON + timedelta(days=365)
    assert await indexes_and_rows(filled, query, before) == ({"payments_by_status"}, PENDING)


async def indexes_and_rows(connection: Connection, query: str, *arguments: Any) -> tuple[set[str], float]:
    """Return which indexes a query has used, and how many rows of `payments` it has looked at."""
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    (document,) = msgspec.json.decode(explained)
    plan = [*nodes(document["Plan"])]
    used = {node["Index Name"] for node in plan if "Index Name" in node}
    return used, sum(rows_read(node) for node in plan if node.get("Relation Name") == "payments")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def rows_read(scan: dict[str, Any]) -> float:
    """Return how many rows a scan has looked at, in all of its loops."""
    rows: float = (scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)) * scan["Actual Loops"]
    return rows
