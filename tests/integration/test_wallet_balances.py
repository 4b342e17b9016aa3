"""The view wallet_balances: one process refreshes it at a time, reconcile compares it, a rebuild keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import pytest
from prometheus_client import REGISTRY

from ledger_streams.adapters.postgres.balances import balances_refreshed_at, refresh_balances
from ledger_streams.adapters.postgres.migrations import downgrade, upgrade
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.reconciliation import Difference, differences
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.rows import TopicPartition
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.bootstrap.balances_job import refresh_when_due
from ledger_streams.settings import Settings
from tests.projected import Story

INDEXES: Final = """
SELECT indexdef FROM pg_indexes
 WHERE schemaname = 'public' AND tablename = 'wallet_balances' ORDER BY indexname"""
DESCRIBED: Final = """
SELECT relname, relacl::text, obj_description(oid, 'pg_class') FROM pg_class
 WHERE relname LIKE 'wallet_balances%' ORDER BY 1"""
FORGED: Final = """
UPDATE wallet_events SET event_data = event_data || '{"amount": "9.99"}' WHERE event_version = 2"""
SUMS: Final = {"snapshot_is_sum_of_events", "event_that_moves_money_has_postings"}


@pytest.fixture
async def pool(schema_only: Settings) -> AsyncIterator[Pool]:
    async with await create_pool(schema_only.postgres) as pool:
        yield pool


async def balances(pool: Pool) -> dict[str, Decimal]:
    rows = await pool.fetch("SELECT wallet_id::text, current_balance FROM wallet_balances")
    return {row["wallet_id"]: row["current_balance"] for row in rows}


async def test_each_refresh_contains_the_rows_projected_before_it(pool: Pool) -> None:
    sink, story = PostgresSink(pool), Story()
    ada, bob = story.open(), story.open()
    story.deposit(ada, 1000)
    await sink.write(story.batch())
    assert await balances(pool) == {}
    assert await refresh_balances(pool)
    assert await balances(pool) == {ada: Decimal("10.00")}
    story.transfer(ada, bob, 250)
    story.hold(bob, "11111111-1111-4111-8111-111111111111", 200)
    await sink.write(story.batch())
    assert await balances(pool) == {ada: Decimal("10.00")}
    assert await refresh_balances(pool)
    assert await balances(pool) == {ada: Decimal("7.50"), bob: Decimal("2.50")}
    (row,) = await pool.fetch(
        """SELECT user_id::text, currency, last_updated, last_event_version FROM wallet_balances
            WHERE wallet_id = $1""",
        bob,
    )
    told = story.wallets[bob]
    assert list(row.values()) == [told.user_id, "EUR", story.now, told.version]


async def test_a_refresh_is_skipped_if_the_view_is_recent_or_another_refresh_runs(pool: Pool) -> None:
    began = datetime.now(UTC)
    assert await refresh_balances(pool)
    assert await balances_refreshed_at(pool) >= began - timedelta(seconds=1)
    assert not await refresh_balances(pool, unless_younger_s=60)
    done = await asyncio.gather(*(refresh_balances(pool, unless_younger_s=0) for _ in range(4)))
    assert any(done)
    async with pool.acquire() as connection, connection.transaction():
        assert await connection.fetchval("SELECT refresh_wallet_balances()")
        assert not await refresh_balances(pool), "the other has not committed"
    assert await refresh_balances(pool)


async def test_a_clock_set_back_does_not_delay_a_refresh(pool: Pool) -> None:
    await pool.execute("UPDATE wallet_balances_refreshed SET refreshed_at = now() + INTERVAL '1 day'")
    assert await refresh_balances(pool, unless_younger_s=60)


async def test_readers_go_on_while_it_is_refreshed(pool: Pool) -> None:
    story = Story()
    story.deposit(story.open(), 1000)
    await PostgresSink(pool).write(story.batch())
    await refresh_balances(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT refresh_wallet_balances()")
        assert len(await asyncio.wait_for(balances(pool), 5)) == 1


async def test_the_projector_s_periodic_job_refreshes_and_reports_the_time(
    pool: Pool, schema_only: Settings
) -> None:
    story = Story()
    story.deposit(story.open(), 1000)
    await PostgresSink(pool).write(story.batch())
    await refresh_when_due(schema_only)
    assert await balances(pool) == {}, "the migration filled it a moment ago"
    await pool.execute("UPDATE wallet_balances_refreshed SET refreshed_at = now() - INTERVAL '300 s'")
    await refresh_when_due(schema_only)
    assert len(await balances(pool)) == 1
    said = REGISTRY.get_sample_value("ledger_wallet_balances_refreshed_seconds")
    assert said == (await balances_refreshed_at(pool)).timestamp()


async def test_only_changes_of_rows_before_the_refresh_are_differences(pool: Pool) -> None:
    sink, story = PostgresSink(pool), Story()
    ada, bob = story.open(), story.open()
    story.deposit(ada, 1000)
    await sink.write(story.batch())
    await refresh_balances(pool)
    story.transfer(ada, bob, 250)
    late = story.batch()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        assert await refresh_balances(pool), "while a writer is under way that began before it"
        await connection.copy_records_to_table(
            "wallet_events", records=late.wallet_events, columns=late.wallet_events[0]._fields
        )
    unlike = SUMS | {"snapshot_is_last_event"}
    assert kinds(await differences(pool)) == unlike
    await pool.execute("UPDATE wallet_balances_refreshed SET contains = pg_current_snapshot()")
    assert kinds(await differences(pool)) == unlike | {"wallet_balances_has_what_was_there"}


def kinds(found: list[Difference]) -> set[str]:
    return {difference.kind for difference in found}


async def test_changed_history_differs_from_the_view(pool: Pool) -> None:
    story = Story()
    ada = story.open()
    story.deposit(ada, 1000)
    await PostgresSink(pool).write(story.batch())
    await refresh_balances(pool)
    assert await differences(pool) == []
    await pool.execute(FORGED)
    found = {difference.kind: difference for difference in await differences(pool)}
    assert found.keys() == {"snapshot_is_sum_of_events", "wallet_balances_is_sum_of_events"}
    said = found["wallet_balances_is_sum_of_events"]
    assert (said.subject, said.detail) == (f"{ada} EUR", "view 10.00 at version 2, events 9.99")


async def test_a_rebuild_keeps_the_view_its_indexes_and_grants(pool: Pool, schema_only: Settings) -> None:
    story = Story()
    ada = story.open()
    story.deposit(ada, 1000)
    batch = story.batch()
    await PostgresSink(pool).write(batch)
    await pool.execute("GRANT SELECT ON wallet_balances, wallet_balances_refreshed TO PUBLIC")
    await pool.execute("CREATE VIEW analytics.richest AS SELECT max(current_balance) FROM wallet_balances")
    before = await pool.fetch(INDEXES), await pool.fetch(DESCRIBED)
    assert len(before[0]) == 2
    async with open_rebuild_tables(schema_only.postgres) as rebuilt:
        await PostgresSink(rebuilt.pool).write(batch)
        assert await refresh_balances(rebuilt.pool)
        assert await differences(rebuilt.pool) == []
        await rebuilt.live.swap(nothing_more, endings_stay=True)
    assert (await pool.fetch(INDEXES), await pool.fetch(DESCRIBED)) == before
    assert await balances(pool) == {ada: Decimal("10.00")}
    story.deposit(ada, 500)
    await PostgresSink(pool).write(story.batch())
    assert await refresh_balances(pool)
    assert await pool.fetchval("SELECT max FROM analytics.richest") == Decimal("15.00")
    assert await differences(pool) == []


async def nothing_more(_: Mapping[TopicPartition, int]) -> None:
    """Take it that nothing was projected since."""


async def test_the_migration_fills_the_view_and_its_downgrade_removes_only_the_view(
    pool: Pool, schema_only: Settings
) -> None:
    story = Story()
    ada = story.open()
    story.deposit(ada, 1000)
    await PostgresSink(pool).write(story.batch())
    await downgrade(schema_only.postgres, 14)
    assert await pool.fetchval("SELECT to_regclass('wallet_balances')") is None
    assert await pool.fetchval("SELECT count(*) FROM wallet_events") == 2
    await upgrade(schema_only.postgres)
    assert await balances(pool) == {ada: Decimal("10.00")}
    assert await differences(pool) == []
