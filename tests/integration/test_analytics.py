"""The analysts' views on a small system, before and after a rebuild of the projections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.rows import SinkBatch, TopicPartition
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.settings import Settings
from tests.projected import Story, new_id

DAY = date(2026, 11, 24)
VIEWS = {
    "payments_per_day",
    "success_per_day",
    "volume_per_day",
    "wallets_by_size",
    "money_in_transit",
    "time_to_complete_per_day",
}


@pytest.fixture
async def pool(schema_only: Settings) -> AsyncIterator[Pool]:
    async with await create_pool(schema_only.postgres) as pool:
        yield pool


def told() -> tuple[SinkBatch, datetime]:
    """Deposits of 1000.00 and 0.50, two transfers, one refused, one on its way, and a refund of 1.00."""
    story = Story()
    ada, bob, overdrawn = story.open(), story.open(), story.open()
    paid = story.deposit(ada, 100_000)
    story.deposit(bob, 50)
    story.transfer(ada, bob, 250)
    story.transfer(overdrawn, bob, 10)
    story.end(story.request(source=bob, target=ada, amount_minor=1), {}, reason="insufficient_funds")
    story.refund(paid, 100, paid_minor=100_000)
    pending = story.request(source=ada, target=bob, amount_minor=700)
    requested_at = story.now
    story.move(ada, -700, pending)
    return story.batch(), requested_at


async def rows(pool: Pool, view: str) -> list[Mapping[str, Any]]:
    return [dict(row) for row in await pool.fetch(f"SELECT * FROM analytics.{view} ORDER BY 1, 2")]


async def test_payments_of_a_day_are_counted_by_status(pool: Pool) -> None:
    await PostgresSink(pool).write(told()[0])
    of_day = {"day": DAY, "currency": "EUR"}
    assert await rows(pool, "payments_per_day") == [
        of_day | {"kind": "deposit", "payments": 2, "completed": 2, "failed": 0, "pending": 0, "refunded": 1},
        of_day
        | {"kind": "transfer", "payments": 4, "completed": 2, "failed": 1, "pending": 1, "refunded": 0},
    ]


async def test_the_success_rate_counts_ended_payments_only(pool: Pool) -> None:
    await PostgresSink(pool).write(told()[0])
    deposits, transfers = await rows(pool, "success_per_day")
    assert (deposits["success_percent"], deposits["main_reason"]) == (Decimal("100.00"), None)
    assert (transfers["ended"], transfers["completed"], transfers["success_percent"]) == (
        3,
        2,
        Decimal("66.67"),
    )
    assert transfers["main_reason"] == "insufficient_funds"


async def test_the_volume_is_the_exact_sum_of_completed_payments(pool: Pool) -> None:
    await PostgresSink(pool).write(told()[0])
    found = {
        row["kind"]: (row["payments"], row["amount"], row["refunded"])
        for row in await rows(pool, "volume_per_day")
    }
    assert found == {
        "deposit": (2, Decimal("1000.50"), Decimal("1.00")),
        "transfer": (2, Decimal("2.60"), Decimal(0)),
    }


async def test_wallets_are_counted_by_powers_of_ten(pool: Pool) -> None:
    await PostgresSink(pool).write(told()[0])
    assert {
        row["at_least"]: (row["wallets"], row["balance"]) for row in await rows(pool, "wallets_by_size")
    } == {
        Decimal(100): (1, Decimal("990.50")),
        Decimal(1): (1, Decimal("3.10")),
        None: (1, Decimal("-0.10")),
    }


async def test_a_size_begins_with_its_power_of_ten(pool: Pool) -> None:
    story = Story()
    for amount_minor in (99, 100, 999, 1_000, 99_999, 100_000):
        story.deposit(story.open(), amount_minor)
    story.open()
    await PostgresSink(pool).write(story.batch())
    found = {row["at_least"]: row["wallets"] for row in await rows(pool, "wallets_by_size")}
    assert found == {0: 2, 1: 2, 10: 1, 100: 1, 1000: 1}


async def test_money_is_in_transit_until_it_arrives(pool: Pool) -> None:
    batch, requested_at = told()
    await PostgresSink(pool).write(batch)
    (row,) = await rows(pool, "money_in_transit")
    assert row == {"currency": "EUR", "payments": 1, "amount": Decimal("7.00"), "oldest": requested_at}


async def test_durations_are_of_completed_payments(pool: Pool) -> None:
    await PostgresSink(pool).write(told()[0])
    deposits, transfers = await rows(pool, "time_to_complete_per_day")
    two_s, three_s = timedelta(seconds=2), timedelta(seconds=3)
    assert [deposits[name] for name in ("payments", "p50", "p99", "longest")] == [2, two_s, two_s, two_s]
    assert [transfers[name] for name in ("payments", "p50", "p90", "longest")] == [
        2,
        three_s,
        three_s,
        three_s,
    ]


async def test_every_view_has_a_comment(pool: Pool) -> None:
    found = await pool.fetch(
        """SELECT relname, obj_description(oid, 'pg_class') AS says FROM pg_class
            WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'v'"""
    )
    assert {row["relname"] for row in found} == VIEWS
    assert all(len(row["says"]) > 50 for row in found)


async def test_a_rebuild_keeps_views_comments_and_grants_and_the_order_of_events(
    pool: Pool, schema_only: Settings
) -> None:
    story = Story()
    wallet_id = story.open()
    story.deposit(wallet_id, 100)
    story.now -= timedelta(minutes=1)
    story.move(wallet_id, 1, new_id())
    batch = story.batch()
    await PostgresSink(pool).write(batch)
    await pool.execute("GRANT SELECT ON analytics.volume_per_day TO PUBLIC")
    await pool.execute("CREATE VIEW analytics.own AS SELECT day, amount FROM analytics.volume_per_day")
    before = await described(pool)
    async with open_rebuild_tables(schema_only.postgres) as rebuilt:
        assert await rows(pool, "payments_per_day"), "readers see the live tables meanwhile"
        await PostgresSink(rebuilt.pool).write(batch)
        await rebuilt.live.swap(nothing_more, endings_stay=True)
    assert await described(pool) == before
    assert [row["amount"] for row in await rows(pool, "own")] == [Decimal("1.00")]
    late = await pool.fetch("SELECT event_version FROM wallet_events WHERE ordered_at IS NOT NULL")
    assert [row["event_version"] for row in late] == [3]
    assert await pool.fetchval("SELECT to_regnamespace('replay')") is None


async def nothing_more(_: Mapping[TopicPartition, int]) -> None:
    """Take it that nothing was projected since."""


async def described(pool: Pool) -> list[tuple[Any, ...]]:
    """Return name, definition, comment and grants of the analysts' views."""
    found = await pool.fetch(
        """SELECT relname, pg_get_viewdef(oid), obj_description(oid, 'pg_class'), relacl::text FROM pg_class
            WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'v' ORDER BY relname"""
    )
    return [tuple(row) for row in found]
