"""The audit on a real PostgreSQL and Kafka: it finds and names every changed row of history."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from ledger_streams import topics
from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.hash_chain import _canonical, _document
from ledger_streams.adapters.postgres.lost_log import move_positions
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.audit.database import close_day, is_due, open_audit, roots
from ledger_streams.audit.day_close import close_in_subprocess
from ledger_streams.audit.proofs import make_proof, verify_proof
from ledger_streams.audit.published_roots import publish_missing
from ledger_streams.audit.roots import Root
from ledger_streams.audit.verification import verify_history
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.publisher import KafkaPublisher
from ledger_streams.ports import Message
from ledger_streams.settings import Settings
from tests.live import UNCHECKED
from tests.ports import free_port
from tests.projected import Story, new_id
from tests.recorded import LONG_AGO, project_earlier

CHAINED = ("events", "event_repeats", "wallet_events", "wallet_snapshots", "projection_positions")
RESTORED = ("events", "event_repeats", "wallet_events", "wallet_snapshots", "postings", "audit_roots")


class Scenario:
    """A story in a database, of which one day is closed."""

    def __init__(self, config: Settings, pool: Pool) -> None:
        self.config, self.pool, self.story = config, pool, Story()
        self.wallet_topic = config.topic(topics.WALLET_EVENTS)
        self.story.name_wallet_topic(self.wallet_topic)
        self.ada, self.bob = self.story.open(), self.story.open()

    async def pay(self) -> str:
        """Write a payment from Ada to Bob, one of whose events comes twice."""
        self.story.deposit(self.ada, 1000)
        payment_id = self.story.transfer(self.ada, self.bob, 250)
        first = self.story.payment_event(payment_id, "SagaStarted", 1, {"z": 1.50, "a": {"b": [1e2, None]}})
        self.story.payment_event(
            payment_id, "SagaStarted", 1, {}, event_id=first.event_id, occurred_at=first.occurred_at
        )
        await PostgresSink(self.pool).write(self.story.batch())
        return payment_id

    async def close(self) -> Root | None:
        """Close yesterday, and send it to Kafka."""
        root = await close_day(self.pool, self.wallet_topic, self.config.audit_key)
        await publish_missing(
            self.config.kafka, self.config.topic(topics.AUDIT_ROOTS), await roots(self.pool)
        )
        return root

    async def findings(self, **changes: str) -> set[tuple[str, str, str]]:
        """Verify; return table, place and the first word of each finding."""
        config = self.config.model_copy(update=changes)
        result = await verify_history(config, None, None)
        return {(found.table, found.place, re.split(r"[\s,]", found.detail)[0]) for found in result.findings}

    async def chains(self) -> dict[str, list[str]]:
        """Return all hashes by table."""
        sql = "SELECT encode(chain_hash, 'hex') AS hash FROM {} WHERE chain_hash IS NOT NULL ORDER BY 1"
        return {name: [row["hash"] for row in await self.pool.fetch(sql.format(name))] for name in CHAINED}


@pytest.fixture
async def scenario(migrated: Settings) -> AsyncIterator[Scenario]:
    async with await create_pool(migrated.postgres, connections_max=3) as pool:
        scenario = Scenario(migrated, pool)
        await scenario.pay()
        await project_earlier(migrated.postgres, LONG_AGO)
        yield scenario


async def test_python_and_sql_hash_the_same_bytes(scenario: Scenario) -> None:
    for document in (
        r'{"b": 1.50, "a": [1e5, -0.0, 1.5e-3, -0, 123456789012345678901234567890, 0.10, 12E-1]}',
        r'{"\u00e9": "\u0001\u001f\b\f\n\r\t\"\\\/\u007f\u2028", "Z": {}, "z": [], "a": {"": null}}',
        r'{"aa": 1, "b": 2, "B": 3, "\ud83d\ude00": "\ud83d\ude00", "\uffee": false}',
    ):
        in_sql = await scenario.pool.fetchval("SELECT audit_json($1::text::jsonb)", document)
        as_stored = await scenario.pool.fetchval("SELECT $1::text::jsonb::text", document)
        assert in_sql.encode() == _canonical(_document(document)) == _canonical(_document(as_stored))


async def test_the_chains_of_old_rows_are_made_by_the_migration(scenario: Scenario) -> None:
    before = await scenario.chains()
    assert all(before.values())
    await migrations.downgrade(scenario.config.postgres, 13)
    await migrations.upgrade(scenario.config.postgres)
    assert await scenario.chains() == before
    assert await scenario.close() is not None
    assert await scenario.findings() == set()
    await scenario.pay()
    assert await scenario.findings() == set()


async def test_concurrent_closers_close_a_day_once(scenario: Scenario) -> None:
    assert await is_due(scenario.pool)
    closed = await asyncio.gather(*(close_day(scenario.pool, scenario.wallet_topic, "") for _ in range(3)))
    assert not await is_due(scenario.pool)
    (root,) = [root for root in closed if root is not None]
    assert root.leaves == len([*(await scenario.chains())["events"], "a repeat"]) + 5
    await scenario.pay()
    assert await scenario.close() is None
    assert await roots(scenario.pool) == [root]
    assert await scenario.findings() == set()


async def test_an_empty_projection_has_no_day_to_close(migrated: Settings) -> None:
    async with await create_pool(migrated.postgres, connections_max=1) as pool:
        assert not await is_due(pool)
        assert await close_day(pool, migrated.topic(topics.WALLET_EVENTS), "") is None


async def test_another_process_closes_the_day(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    values = scenario.config.model_dump(mode="json", include={"kafka", "postgres", "topic_prefix", "home"})
    for name, value in values.items():
        monkeypatch.setenv(f"LEDGER_{name.upper()}", str(value))
    assert await close_in_subprocess()
    assert len(await roots(scenario.pool)) == 1
    assert not await close_in_subprocess()
    assert await scenario.findings() == set()


async def test_a_failed_close_in_another_process_leaves_the_day_open(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_POSTGRES", f"postgresql://ledger@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(Unavailable, match="audit close"):
        await close_in_subprocess()
    assert await is_due(scenario.pool)


TAMPERING = {
    "UPDATE events SET event_data = event_data || '{\"x\": 1}' WHERE source_offset = 2": (
        "events",
        "2",
        "changed",
    ),
    "UPDATE events SET occurred_at = occurred_at + INTERVAL '1 us' WHERE source_offset = 1": (
        "events",
        "1",
        "changed",
    ),
    "DELETE FROM events WHERE source_offset = 2": ("events", "3", "changed"),
    "DELETE FROM events WHERE source_offset = 0": ("events", "1", "changed"),
    "DELETE FROM event_repeats": ("events", "4", "rows"),
    "DELETE FROM events": ("event_repeats", "5", "changed"),
    "UPDATE event_repeats SET aggregate_id = gen_random_uuid()": ("event_repeats", "5", "changed"),
    "UPDATE wallet_events SET wallet_state = '{}' WHERE event_version = 2": ("wallet_events", "2", "changed"),
    "UPDATE wallet_events SET payment_id = NULL WHERE event_version = 3": ("wallet_events", "3", "changed"),
    "DELETE FROM wallet_events WHERE event_version = 2 AND event_type = 'BalanceAdded'": (
        "wallet_events",
        "2",
        "missing",
    ),
    "DELETE FROM wallet_events WHERE event_version = 3": ("wallet_snapshots", "3", "the"),
    "UPDATE postings SET amount_minor = amount_minor * 2": ("wallet_events", "2", "changed"),
    "DELETE FROM postings WHERE leg = 1": ("wallet_events", "2", "changed"),
    "INSERT INTO postings SELECT gen_random_uuid(), 0, account, currency, amount_minor, payment_id, "
    "occurred_at FROM postings WHERE leg = 0": ("postings", "0", "inserted"),
    "UPDATE wallet_events SET source_offset = source_offset + 100 WHERE event_version = 1": (
        "audit_roots",
        "root",
        "9",
    ),
    "DELETE FROM audit_roots": ("audit_roots", "root", "is"),
    "UPDATE audit_roots SET root = '\\x00'": ("audit_roots", "seal", "not"),
}


async def test_each_change_of_a_row_is_found_and_named(scenario: Scenario) -> None:
    await scenario.close()
    for statement, expected in TAMPERING.items():
        connection = await asyncpg.connect(scenario.config.postgres, server_settings=UNCHECKED)
        try:
            await connection.execute("CREATE SCHEMA kept")
            for table in RESTORED:
                await connection.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
            await connection.execute(statement)
            assert expected in (found := await scenario.findings()), f"{statement}: {found}"
            for table in RESTORED:
                await connection.execute(f"TRUNCATE {table}; INSERT INTO {table} TABLE kept.{table}")
            await connection.execute("DROP SCHEMA kept CASCADE")
            assert await scenario.findings() == set()
        finally:
            await connection.close()


async def test_kafka_reveals_a_forged_chain_root_and_seal(scenario: Scenario) -> None:
    await scenario.close()
    connection = await asyncpg.connect(scenario.config.postgres)
    await connection.execute("UPDATE events SET event_data = '{}' WHERE source_offset = 1")
    await connection.close()
    await migrations.downgrade(scenario.config.postgres, 11)
    await migrations.upgrade(scenario.config.postgres)  # the plainest forger: all hashes are made anew
    await close_day(scenario.pool, scenario.wallet_topic, scenario.config.audit_key)
    assert await scenario.findings() == {("audit_roots", "root", "has")}


async def test_a_keyed_seal_needs_its_key(scenario: Scenario) -> None:
    scenario.config = scenario.config.model_copy(update={"audit_key": "secret"})
    root = await scenario.close()
    assert root is not None
    assert root.keyed
    assert await scenario.findings() == set()
    assert await scenario.findings(audit_key="") == {("audit_roots", "seal", "made")}
    assert await scenario.findings(audit_key="another") == {("audit_roots", "seal", "not")}


async def test_a_day_known_only_to_kafka_is_named(scenario: Scenario) -> None:
    root = await scenario.close()
    assert root is not None
    other = msgspec.structs.replace(root, day="2026-01-01")
    async with KafkaPublisher(scenario.config.kafka, clock=BrokerClock()) as publisher:
        topic = scenario.config.topic(topics.AUDIT_ROOTS)
        await publisher.publish([Message(topic, other.day, msgspec.json.encode(other))])
    assert await scenario.findings() == {("audit_roots", "root", "is")}


async def test_an_event_of_a_closed_day_has_a_proof_and_one_of_today_has_not(scenario: Scenario) -> None:
    closed = [row["id"] for row in await scenario.pool.fetch("SELECT event_id::text AS id FROM events")]
    closed += [
        row["id"] for row in await scenario.pool.fetch("SELECT event_id::text AS id FROM wallet_events")
    ]
    root = await scenario.close()
    late = await scenario.pay()
    async with open_audit(scenario.pool) as look:
        for event_id in closed:
            given = await make_proof(look, scenario.wallet_topic, event_id)
            assert root is not None
            assert given.root == root.root
            assert verify_proof(given)
            forged = msgspec.structs.replace(given, content=given.content.replace("EUR", "USD"))
            assert verify_proof(forged) == (forged == given)
        open_id = await scenario.pool.fetchval(
            "SELECT event_id::text FROM events WHERE aggregate_id = $1", late
        )
        with pytest.raises(Rejected, match="not closed yet"):
            await make_proof(look, scenario.wallet_topic, open_id)
        with pytest.raises(Rejected, match="no event"):
            await make_proof(look, scenario.wallet_topic, new_id())


async def test_closed_days_outlive_lost_logs(scenario: Scenario) -> None:
    """Each new log begins at 0, and wallet-events with a copy of each wallet's last event."""
    today = datetime.now(UTC).date()
    await scenario.pool.execute("UPDATE events SET recorded_at = now() - INTERVAL '4 days'")
    for days_ago in (3, 2, 1):
        assert (root := await scenario.close()) is not None
        assert root.day == str(today - timedelta(days=days_ago))
        await scenario.pay()
        before = scenario.story.lose_log(copies=2)
        assert await move_positions(scenario.config.postgres, before=before, after=scenario.story.written)
        assert await scenario.findings() == set()
        await scenario.pay()
        assert await scenario.findings() == set()
        await project_earlier(scenario.config.postgres, f"today - INTERVAL '{days_ago * 24 - 36} hours'")
    days = "SELECT moved FROM audit_roots ORDER BY day"
    moved = [row["moved"] for row in await scenario.pool.fetch(days)]
    assert moved == sorted(set(moved), reverse=True)
    await scenario.pool.execute(
        "UPDATE events SET event_type = 'Other' WHERE source_offset = (SELECT min(source_offset) FROM events)"
    )
    (found,) = (await verify_history(scenario.config, None, None)).findings
    assert (found.day, found.detail.split(",")[0]) == (str(today - timedelta(days=3)), "changed")


async def test_a_verification_from_a_day_reads_only_later_rows(scenario: Scenario) -> None:
    root = await scenario.close()
    assert root is not None
    all_of_it = await verify_history(scenario.config, None, None)
    await scenario.pay()
    day_after = str((await scenario.pool.fetchval("SELECT max(day) FROM audit_roots")) + timedelta(days=1))
    later = await verify_history(scenario.config, day_after, None)
    assert (later.events, later.findings) == (all_of_it.events, [])
    one = await verify_history(scenario.config, None, scenario.ada)
    assert (one.events, one.wallet_events, one.findings) == (0, 5, [])
