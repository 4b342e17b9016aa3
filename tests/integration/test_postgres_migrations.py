"""Migrations and reconciliation, each test on an empty database of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from click.testing import CliRunner

from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.reconciliation import differences
from ledger_streams.adapters.postgres.rows import WalletEventRow
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.cli.db import db
from ledger_streams.errors import InvariantBroken
from ledger_streams.settings import Settings
from tests.projected import Story

ALL = [
    "0001_extensions",
    "0002_events",
    "0003_wallets",
    "0004_payments",
    "0005_projection_positions",
    "0006_refunds",
    "0007_callers_holds",
    "0008_payments_under_way",
    "0011_history",
    "0013_vacuum",
    "0014_audit",
    "0015_wallet_balances",
    "0016_archive",
    "0017_parked_records",
    "0018_payment_lists",
    "0020_recorded",
]


EARLY = "SELECT count(*) FROM pg_class WHERE array_to_string(reloptions, ' ') LIKE '%autovacuum_vacuum%'"


@pytest.fixture
def dsn(database_only: Settings) -> str:
    """An empty database."""
    return database_only.postgres


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row["tablename"] for row in rows}
    finally:
        await connection.close()


async def test_up_down_and_up_again(dsn: str) -> None:
    assert await migrations.upgrade(dsn) == ALL
    assert await migrations.upgrade(dsn) == []
    full = await tables(dsn)
    assert {"events", "event_repeats", "wallet_events", "wallet_snapshots", "payments", "postings"} <= full
    assert sum(name.startswith("events_y") for name in full) == 12 + 1 + 3
    assert await migrations.downgrade(dsn, 3) == ALL[:2:-1]
    assert await migrations.downgrade(dsn, 0) == ALL[2::-1]
    assert await tables(dsn) == {"schema_migrations"}
    assert await migrations.upgrade(dsn) == ALL
    assert await tables(dsn) == full


async def test_versions_that_occurred_before_earlier_ones_are_found_on_the_way_up(dsn: str) -> None:
    await migrations.upgrade(dsn)
    await migrations.downgrade(dsn, 8)
    connection = await asyncpg.connect(dsn)
    rows = "SELECT wallet_id::text, event_version, ordered_at FROM wallet_events WHERE ordered_at IS NOT NULL"
    try:
        story, begin = Story(), datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
        ada, bob = story.open(), story.open()
        for wallet_id, second in ((ada, 9), (ada, 5), (bob, 5), (ada, 9), (ada, 8)):
            story.now = begin + timedelta(seconds=second - 1)
            story.move(wallet_id, 1, "00000000-0000-4000-8000-000000000001")
        events = story.batch().wallet_events
        old = WalletEventRow._fields.index("source_partition")  # columns of then
        await connection.copy_records_to_table(
            "wallet_events", records=[row[:old] for row in events], columns=WalletEventRow._fields[:old]
        )
        await migrations.upgrade(dsn)
        found = {
            (row["wallet_id"], row["event_version"]): row["ordered_at"]
            for row in await connection.fetch(rows)
        }
        latest = {events[0].wallet_id: begin + timedelta(seconds=9)}
        assert found == {(ada, 3): latest[ada], (ada, 5): latest[ada]}
        await migrations.downgrade(dsn, 8)
        assert await connection.fetchval("SELECT count(*) FROM wallet_events") == len(events)
        assert await connection.fetchval("SELECT to_regnamespace('analytics')") is None
    finally:
        await connection.close()


async def test_tables_are_vacuumed_early_beside_the_live_ones_too_and_no_more_after_the_way_back(
    dsn: str,
) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE SCHEMA replay")
    for place in (dsn, f"{dsn}?search_path=replay"):
        await migrations.upgrade(place)
        async with await create_pool(place) as pool:
            story = Story()
            story.deposit(story.open(), 1000)
            await PostgresSink(pool).write(story.batch())
    assert await connection.fetchval(EARLY) == 2 * 4
    assert await migrations.downgrade(dsn, 12) == [*reversed(ALL[ALL.index("0013_vacuum") :])]
    assert await connection.fetchval(EARLY) == 4
    assert await connection.fetchval("SELECT count(*) FROM wallet_events") == 2
    await connection.close()


async def test_workers_that_upgrade_at_once_apply_each_migration_once(dsn: str) -> None:
    applied = await asyncio.gather(*(migrations.upgrade(dsn) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == ALL


async def test_a_migration_that_changed_after_it_was_applied_is_refused(dsn: str) -> None:
    await migrations.upgrade(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE schema_migrations SET checksum = 'another' WHERE number = 2")
    await connection.close()
    with pytest.raises(InvariantBroken, match="0002_events differs from the one applied"):
        await migrations.upgrade(dsn)


def test_the_command_upgrades_and_reports_the_migrations(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_POSTGRES", dsn)
    first = CliRunner().invoke(db, ["upgrade", "--json"])
    again = CliRunner().invoke(db, ["upgrade"])
    down = CliRunner().invoke(db, ["downgrade", "--to", "4", "--yes"])
    assert first.output == '{"migrations": ["' + '", "'.join(ALL) + '"]}\n'
    assert again.output == "The schema is up to date.\n"
    assert down.output == "\n".join(reversed(ALL[4:])) + "\n"


async def test_a_sound_ledger_reconciles_and_each_falsehood_is_found(dsn: str) -> None:
    await migrations.upgrade(dsn)
    async with await create_pool(dsn) as pool:
        story = Story()
        source, target = story.open(), story.open()
        story.deposit(source, 1000)
        payment_id = story.transfer(source, target, 250)
        story.request(source=source, target=target, amount_minor=1)
        await PostgresSink(pool).write(story.batch())
        assert await differences(pool) == []

        for falsehood, kinds in FALSEHOODS.items():
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SET LOCAL session_replication_role = replica")
                await connection.execute(falsehood.format(source=source, payment=payment_id))
            assert {difference.kind for difference in await differences(pool)} == kinds, falsehood
            await pool.execute(f"TRUNCATE {TABLES}")
            story = Story()
            source, target = story.open(), story.open()
            story.deposit(source, 1000)
            payment_id = story.transfer(source, target, 250)
            await PostgresSink(pool).write(story.batch())


TABLES = "events, archived_events, wallet_events, wallet_snapshots, payments, postings"
SNAPSHOT_SUMS = {"snapshot_is_sum_of_events", "snapshot_is_sum_of_postings"}
FALSEHOODS = {
    "UPDATE wallet_snapshots SET balances = jsonb_set(balances, '{{EUR,balance}}', '\"9.99\"') "
    "WHERE wallet_id = '{source}'": SNAPSHOT_SUMS,
    "UPDATE wallet_snapshots SET last_event_version = 99 WHERE wallet_id = '{source}'": {
        "snapshot_is_last_event"
    },
    "UPDATE wallet_events SET occurred_at = occurred_at - INTERVAL '1 day' "
    "WHERE wallet_id = '{source}' AND event_version = 2": {"versions_are_in_order_of_time"},
    "DELETE FROM wallet_events WHERE wallet_id = '{source}' AND event_version = 1": {"versions_have_no_gap"},
    "UPDATE postings SET amount_minor = amount_minor + 1 WHERE account = 'external:EUR'": {
        "event_postings_sum_to_zero",
        "ended_payment_leaves_nothing",
    },
    "UPDATE postings SET account = 'external:EUR' WHERE account = 'transit:EUR' AND amount_minor > 0": {
        "ended_payment_leaves_nothing"
    },
    "DELETE FROM postings WHERE payment_id = '{payment}'": {
        "snapshot_is_sum_of_postings",
        "event_that_moves_money_has_postings",
    },
    "INSERT INTO events SELECT event_id, aggregate_id, event_type, event_data, event_version, "
    "occurred_at + INTERVAL '1 second', topic, 0, 9 FROM events WHERE aggregate_id = '{payment}'": {
        "event_id_is_used_once"
    },
    "INSERT INTO archived_events SELECT topic, source_partition, source_offset, event_id, occurred_at, "
    "chain_hash, '2026-11-01', 1 FROM events WHERE aggregate_id = '{payment}'": {
        "archived_event_is_there_once"
    },
}
