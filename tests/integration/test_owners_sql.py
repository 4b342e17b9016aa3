"""Every SQL statement of the owner's stack, on the real tables, filled as the projector fills them.

Each statement runs as written.  Where it contradicts another one or the tables, the test
asserts PostgreSQL's error and runs the nearest statement that works.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from ledger_streams.adapters.postgres.balances import refresh_balances
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.settings import Settings
from tests.owners import owners
from tests.projected import Story, new_id

ALIKE: Final = """
SELECT ours.indexrelid::regclass::text, ours.indpred IS NULL AS is_whole
  FROM pg_index own JOIN pg_index ours USING (indrelid, indkey, indclass, indisunique)
 WHERE own.indexrelid = $1::text::regclass AND ours.indexrelid <> own.indexrelid"""
"""Indexes of the same table, columns and operators as one of the owner's."""


@pytest.fixture
async def pool(schema_only: Settings) -> AsyncIterator[Pool]:
    async with await create_pool(schema_only.postgres, connections_max=1) as pool:
        yield pool


class Scenario:
    """Ada has 10.00 and gave Bob 2.50, ten minutes ago; 1.00 was deducted of another wallet long ago."""

    def __init__(self) -> None:
        self.story = Story()
        self.story.now = datetime.now(UTC) - timedelta(hours=30)
        self._deducted("1.00", "EUR")
        self.story.now = datetime.now(UTC) - timedelta(minutes=10)
        self.ada, self.bob = self.story.open(), self.story.open()
        self.story.deposit(self.ada, 1000)
        self.payment_id = self.story.transfer(self.ada, self.bob, 250)
        for amount, currency in (("2.50", "EUR"), ("0.75", "EUR"), ("300", "JPY")):
            self._deducted(amount, currency)
        self.story.payment_event(new_id(), "PaymentCompleted", 2, {"new_field": "v2"})
        self.story.payment_event(new_id(), "PaymentFailed", 2, {"new_field": "v2"})

    def _deducted(self, amount: str, currency: str) -> None:
        self.story.payment_event(new_id(), "WalletDeducted", 2, {"amount": amount, "currency": currency})


@pytest.fixture
async def scenario(pool: Pool) -> Scenario:
    scenario = Scenario()
    await PostgresSink(pool).write(scenario.story.batch())
    await refresh_balances(pool)
    return scenario


async def version_and_balance(pool: Pool, wallet_id: str) -> tuple[int, str]:
    (row,) = await pool.fetch(
        """SELECT last_event_version, balances #>> '{EUR,balance}' AS balance FROM wallet_snapshots
            WHERE wallet_id = $1""",
        wallet_id,
    )
    return row["last_event_version"], row["balance"]


async def test_an_event_and_its_snapshot_s_version_are_one_transaction(
    pool: Pool, scenario: Scenario
) -> None:
    values = (scenario.ada, "BalanceAdded", '{"amount": "1.00"}', "4")
    with pytest.raises(asyncpg.NotNullViolationError, match='"event_id"'):
        await pool.execute(owners("event_and_version", *values))
    await pool.execute("ROLLBACK")
    await pool.execute(owners("event_and_version_whole", *values))
    assert await version_and_balance(pool, scenario.ada) == (4, "7.50")
    assert await pool.fetchval("SELECT max(event_version) FROM wallet_events") == 4
    with pytest.raises(asyncpg.UniqueViolationError):
        await pool.execute(owners("event_and_version_whole", *values))
    await pool.execute("ROLLBACK")


async def test_an_event_and_a_balance_are_one_transaction_with_the_snapshot_for_a_table(
    pool: Pool, scenario: Scenario
) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError, match='column "balance" does not exist'):
        await pool.execute(owners("event_and_balance", "-2.00", scenario.ada))
    await pool.execute("ROLLBACK")
    with pytest.raises(asyncpg.WrongObjectTypeError, match="cannot change materialized view"):
        await pool.execute("UPDATE wallet_balances SET current_balance = 0")
    assert await version_and_balance(pool, scenario.ada) == (3, "7.50")
    await pool.execute(owners("event_and_balance_of_snapshot", "-2.00", scenario.ada))
    assert await version_and_balance(pool, scenario.ada) == (3, "5.50")
    said = "SELECT event_data ->> 'amount' FROM events WHERE aggregate_id = $1"
    assert await pool.fetchval(said, scenario.ada) == "2.00"


async def test_the_event_store_has_the_owner_s_columns_and_one_key_more(pool: Pool) -> None:
    columns = """SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
                  WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum"""
    partitioned = owners("table_of_events").replace(");", ") PARTITION BY RANGE (occurred_at);")
    await pool.execute(f"CREATE SCHEMA own; SET search_path = own; {owners('table_of_events')}")
    own, ours = await pool.fetch(columns, "own.events"), await pool.fetch(columns, "public.events")
    assert len(own) == 6
    assert set(own) <= set(ours)
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="all partitioning columns"):
        await pool.execute(f"DROP TABLE own.events; SET search_path = own; {partitioned}")


async def test_a_month_is_a_partition_under_one_of_two_names(pool: Pool) -> None:
    await pool.execute(owners("partition_of_a_month"))
    with pytest.raises(asyncpg.InvalidObjectDefinitionError, match="would overlap"):
        await pool.execute(owners("partition_of_the_same_month"))
    story = Story()
    story.payment_event(new_id(), "SagaStarted", 1, {}, occurred_at=datetime(2024, 1, 31, 23, tzinfo=UTC))
    await pool.execute("DROP TABLE events_2024_01")
    await PostgresSink(pool).write(story.batch())
    assert await pool.fetchval("SELECT tableoid::regclass::text FROM events") == "events_y2024m01"


async def test_deductions_of_a_day_are_summed_by_currency(pool: Pool, scenario: Scenario) -> None:
    rows = await pool.fetch(owners("deducted_by_currency"))
    assert {row["currency"]: row["total_amount"] for row in rows} == {
        "EUR": Decimal("3.25"),
        "JPY": Decimal(300),
    }


async def test_a_new_field_needs_no_migration(pool: Pool, scenario: Scenario) -> None:
    assert [tuple(row) for row in await pool.fetch(owners("new_field"))] == [("v2",)]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("reads_data", ["PaymentCompleted", "PaymentRequested"]),
        ("reads_aggregate", ["PaymentRequested", "PaymentCompleted"]),
        ("reads_balance", [Decimal("7.50")]),
        ("reads_user", ["ada"]),
    ],
)
async def test_queries_through_an_index_return_the_documented_rows(
    pool: Pool, scenario: Scenario, statement: str, found: list[Any]
) -> None:
    ids = {
        "reads_balance": scenario.ada,
        "reads_user": scenario.story.wallets[scenario.ada].user_id,
    }
    rows = await pool.fetch(owners(statement, ids.get(statement, scenario.payment_id)))
    values = ["ada" if str(row[0]) == scenario.ada else row[0] for row in rows]
    assert (sorted(values) if statement == "reads_data" else values) == found


async def test_the_extensions_are_there(pool: Pool) -> None:
    await pool.execute(owners("extensions"))
    found = {row["extname"] for row in await pool.fetch("SELECT extname FROM pg_extension")}
    assert {"uuid-ossp", "pgcrypto", "pg_stat_statements"} <= found


async def test_the_view_of_balances_equals_the_owner_s(pool: Pool, scenario: Scenario) -> None:
    content = "SELECT wallet_id, user_id, currency, current_balance, last_updated FROM {} ORDER BY 1, 3"
    await pool.execute("CREATE SCHEMA own; SET search_path = own, public")
    for name in ("view_of_balances", "indexes_of_balances", "refresh"):
        await pool.execute(owners(name))
    own = await pool.fetch(content.format("own.wallet_balances"))
    ours = await pool.fetch(content.format("public.wallet_balances"))
    assert ours == [row for row in own if row["currency"] is not None], "the openings have no currency"
    assert {str(row["wallet_id"]): row["current_balance"] for row in ours} == {
        scenario.ada: Decimal("7.50"),
        scenario.bob: Decimal("2.50"),
    }
    await pool.execute("SET search_path = public")
    await pool.execute(owners("refresh"))


INDEXES: Final = {
    "index_of_data": {"idx_events_data_gin": "events_data"},
    "index_of_aggregates": {"idx_events_aggregate_version": "events_aggregate_version"},
    "index_of_types": {"idx_events_type_time": "events_type_time"},
    "indexes_of_balances": {
        "idx_wallet_balances_pk": "wallet_balances_wallet",
        "idx_wallet_balances_user": "wallet_balances_user",
    },
}


@pytest.mark.parametrize("statement", INDEXES)
async def test_each_index_of_the_owner_s_is_there_under_another_name(pool: Pool, statement: str) -> None:
    await pool.execute(owners(statement))
    for own, ours in INDEXES[statement].items():
        found = await pool.fetch(ALIKE, own)
        assert [tuple(row) for row in found] == [(ours, True)]


READS: Final = {
    "reads_data": "USING gin (event_data)",
    "reads_field": "USING gin (event_data)",
    "reads_aggregate": "USING btree (aggregate_id, event_version)",
    "deducted_by_currency": "USING btree (event_type, occurred_at)",
    "reads_balance": "USING btree (wallet_id, currency)",
    "reads_user": "USING btree (user_id)",
}


@pytest.mark.parametrize("statement", READS)
async def test_each_index_serves_its_query(pool: Pool, scenario: Scenario, statement: str) -> None:
    await pool.execute("SET enable_seqscan = off")
    found = await indexes_used(pool, owners(statement, scenario.ada))
    assert found
    assert all(definition.endswith(READS[statement]) for definition in found)


async def test_a_partial_index_on_time_cannot_serve_a_query_for_the_last_day(
    pool: Pool, scenario: Scenario
) -> None:
    await pool.execute("DROP INDEX events_type_time")
    await pool.execute(owners("index_of_types"))
    await pool.execute("SET enable_seqscan = off")
    by_now = await indexes_used(pool, owners("deducted_by_currency"))
    assert not [definition for definition in by_now if "event_type" in definition], "NOW() is no constant"
    since = "SELECT FROM events WHERE event_type = 'WalletDeducted' AND occurred_at >= '2026-01-01'"
    assert any("(event_type, occurred_at)" in definition for definition in await indexes_used(pool, since))


async def indexes_used(pool: Pool, statement: str) -> set[str]:
    """Return the definitions of the indexes in the plan of a statement, on partitions or not."""
    (document,) = msgspec.json.decode(await pool.fetchval(f"EXPLAIN (FORMAT JSON) {statement}"))
    definition = "SELECT pg_get_indexdef($1::text::regclass)"
    return {await pool.fetchval(definition, name) for name in names_in(document["Plan"])}


def names_in(plan: dict[str, Any]) -> list[str]:
    own = [plan["Index Name"]] if "Index Name" in plan else []
    return [*own, *(name for child in plan.get("Plans", ()) for name in names_in(child))]
