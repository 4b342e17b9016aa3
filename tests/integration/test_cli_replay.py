"""`replay projections` with records that Kafka has deleted, and beside another replay."""

from __future__ import annotations

import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import PolicyViolationError

from ledger_streams import topics
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.settings import Settings
from tests.databases import own_database
from tests.e2e.outside import new_id, open_wallet, pay, read, record, requested, send, transfer
from tests.live import LiveSystem, Process, eventually, running
from tests.own_system import own_system
from tests.projections import at_rest, differing, projections


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def projected(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """A system with payments of several outcomes that are all projected; nothing of it runs any more."""
    home = tmp_path_factory.mktemp("system")
    async with own_system(stack, home) as settings:
        async with running(settings, workers=1) as live:
            ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
            paid = [transfer(ada, bob, "1.25") for _ in range(12)]
            for payment in paid:
                assert (await pay(live, payment))["status"] == "completed"
            refund = f"/v1/payments/{paid[0]['payment_id']}/refund?wait=20"
            assert (await live.request("POST", refund, json={"amount": "0.25"}))[0] == 200
            unreadable = requested(transfer(ada, bob, "-1.00"))
            same_id = requested(paid[1], event_id=new_id())
            await send(live, [record(unreadable), record(same_id), record(same_id)])
            assert (await live.command("reconcile"))[0] == 0
            await at_rest(live)
        yield settings


@pytest.fixture
async def told(stack: Settings, projected: Settings, tmp_path: Path) -> AsyncIterator[LiveSystem]:
    """That system, with a copy of its database for one test alone."""
    name, original = f"t{uuid.uuid4().hex[:12]}", projected.postgres.rpartition("/")[2]
    async with (
        own_database(stack, name, copied_from=original) as dsn,
        running(projected.model_copy(update={"postgres": dsn, "home": tmp_path})) as live,
    ):
        yield live


@pytest.fixture
async def trimmed(told: LiveSystem) -> LiveSystem:
    """That system, whose Kafka has deleted what it may; it stays so for the tests that come later."""
    await forget(told)
    return told


async def forget(live: LiveSystem) -> None:
    """Delete from Kafka what it may: all of the payments' topics, all but each wallet's last record."""
    names = [live.settings.topic(name) for name in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS)]
    positions = await live.rows("SELECT * FROM projection_positions WHERE topic = ANY($1::text[])", names)
    before = {(row["topic"], row["partition"]): row["next_offset"] for row in positions}
    last = {kept.key: kept for kept in await read(live, topics.WALLET_EVENTS)}
    for kept in last.values():
        place = (kept.topic, kept.partition)
        before[place] = min(kept.offset, before.get(place, kept.offset))
    admin = AIOKafkaAdminClient(bootstrap_servers=live.settings.kafka)
    await admin.start()

    async def are_deleted() -> bool:
        until = {TopicPartition(*place): RecordsToDelete(offset) for place, offset in before.items()}
        try:
            await admin.delete_records(until)
        except PolicyViolationError:
            return False  # the controller has the other policy, and the log not yet
        return True

    try:
        wallets = live.settings.topic(topics.WALLET_EVENTS)
        also_delete = {"cleanup.policy": "compact,delete"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, wallets, also_delete)])
        await eventually(are_deleted, what="the records are deleted")
    finally:
        await admin.close()


@asynccontextmanager
async def somebody_reading(live: LiveSystem) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Hold a table as a long report does."""
    reader = await asyncpg.connect(live.settings.postgres)
    try:
        await reader.execute("BEGIN; SELECT count(*) FROM payments")
        yield reader
    finally:
        await reader.close()


async def schemas(live: LiveSystem) -> int:
    return len(await live.rows("SELECT FROM pg_namespace WHERE nspname = 'replay'"))


async def test_a_killed_rebuild_changes_nothing_live_and_the_next_one_starts_anew(
    told: LiveSystem,
) -> None:
    before = await projections(told)
    command = [sys.executable, "-m", "ledger_streams", "replay", "projections"]
    killed = Process("replay", command, told.environment(), told.settings.home / "replay.log")
    async with somebody_reading(told):
        killed.start()

        async def waits_for_the_reader() -> bool:
            return "the swap" in killed.tail()

        await eventually(waits_for_the_reader, what="the swap is refused while a report reads")
        killed.kill()
    assert killed.exit_code == -signal.SIGKILL
    assert differing(before, await projections(told)) == {}
    assert await schemas(told) == 1
    code, out, err = await told.command("replay", "projections")
    assert (code, "wallet_snapshots" in out, "swapped" in err) == (0, True, True)
    assert differing(before, await projections(told)) == {}
    assert await schemas(told) == 0


async def test_the_later_of_two_simultaneous_rebuilds_is_refused(told: LiveSystem) -> None:
    async with open_rebuild_tables(told.settings.postgres):
        code, _, err = await told.command("replay", "projections")
    assert (code, "another replay or archive command of this database is running" in err) == (1, True)
    await told.document("replay", "projections")


async def test_a_view_that_depends_on_a_table_stops_the_swap_and_is_named(told: LiveSystem) -> None:
    await told.rows("CREATE VIEW outstanding AS SELECT * FROM payments WHERE ended_at IS NULL")
    code, _, err = await told.command("replay", "projections")
    assert (code, "view outstanding depends on table payments" in err) == (1, True)
    await told.rows("DROP VIEW outstanding")
    await told.document("replay", "projections")


async def test_records_that_kafka_has_deleted_come_from_the_event_store(trimmed: LiveSystem) -> None:
    before = await projections(trimmed)
    assert await read(trimmed, topics.PAYMENT_EVENTS) == []
    assert len(await read(trimmed, topics.WALLET_EVENTS)) < len(before["wallet_events"])
    for statement in (
        "DELETE FROM postings",
        "DELETE FROM wallet_snapshots",
        "UPDATE payments SET status = 'pending', refunded = NULL, amount = NULL",
    ):
        await trimmed.rows(statement)
    result = await trimmed.document("replay", "projections")
    assert result["from_postgres"] > len(before["events"])
    assert result["differences"] == []
    assert differing(before, await projections(trimmed)) == {}
    trimmed.start("projector")
    assert (await trimmed.command("reconcile"))[0] == 0


async def test_missing_history_is_an_error_and_live_tables_stay_unchanged(trimmed: LiveSystem) -> None:
    await trimmed.rows("DELETE FROM wallet_events WHERE event_version = 2")
    before = await projections(trimmed)
    code, out, err = await trimmed.command("replay", "projections", "--json")
    assert (code, out, "version gap, event version 3 came after 1" in err) == (1, "", True)
    assert differing(before, await projections(trimmed)) == {}


async def test_an_outcome_missing_in_the_event_store_fails_the_rebuild(trimmed: LiveSystem) -> None:
    await trimmed.rows("DELETE FROM events WHERE event_type = 'PaymentCompleted'")
    before = await projections(trimmed)
    code, out, err = await trimmed.command("replay", "projections", "--json")
    assert (code, out, "has ended, and its outcome is missing in `events`" in err) == (1, "", True)
    assert differing(before, await projections(trimmed)) == {}


async def test_a_rebuild_that_contradicts_itself_is_not_swapped(trimmed: LiveSystem) -> None:
    change = "UPDATE wallet_events SET event_data = jsonb_set(event_data, '{amount}', '\"%s\"') WHERE %s"
    await trimmed.rows(change % ("2.25", "event_type = 'BalanceAdded' AND event_version = 2"))
    before = await projections(trimmed)
    code, out, _ = await trimmed.command("replay", "projections", "--json")
    found = {difference["kind"] for difference in msgspec.json.decode(out)["differences"]}
    assert (code, "snapshot_is_sum_of_events" in found) == (1, True)
    assert differing(before, await projections(trimmed)) == {}
