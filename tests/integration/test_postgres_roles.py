"""Roles on a real PostgreSQL: the application adds to history and cannot change it; analysts read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from ledger_streams.adapters.postgres.balances import refresh_balances
from ledger_streams.adapters.postgres.migrations import downgrade, upgrade
from ledger_streams.adapters.postgres.parked_rows import Part
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.reconciliation import differences
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.roles import give_roles, role_statements
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.archive.months import archive_months
from ledger_streams.audit.database import close_day
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.settings import Settings
from tests.archived import DECEMBER, old
from tests.projected import Story
from tests.recorded import LONG_AGO, project_earlier

HISTORY = ("events", "event_repeats", "wallet_events", "postings", "audit_roots")


class Roles:
    """A database and its two roles."""

    def __init__(self, dsn: str) -> None:
        self.owner = dsn
        name = urlsplit(dsn).path[1:]
        self.application, self.analyst = f"{name}_app", f"{name}_analyst"

    def dsn(self, role: str) -> str:
        return self.owner.replace("//ledger@", f"//{role}@")


@pytest.fixture
async def roles(database_only: Settings) -> AsyncIterator[Roles]:
    """Both roles with their rights; gone afterwards."""
    roles = Roles(database_only.postgres)
    await upgrade(roles.owner)
    await give_roles(roles.owner, application=roles.application, analyst=roles.analyst)
    yield roles
    connection = await asyncpg.connect(roles.owner)
    for role in (roles.application, roles.analyst):
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    await connection.close()


@pytest.fixture
async def pool(roles: Roles) -> AsyncIterator[Pool]:
    """Connections of the application."""
    async with await create_pool(roles.dsn(roles.application)) as pool:
        yield pool


async def test_the_projector_works_with_the_application_role(roles: Roles, pool: Pool) -> None:
    sink, story = PostgresSink(pool), Story()
    await sink.ensure_partitions()
    ada, bob = story.open(), story.open()
    story.deposit(ada, 1000)
    payment_id = story.transfer(ada, bob, 250)
    story.refund(payment_id, 250, paid_minor=250)
    long_ago = datetime.now(UTC) - timedelta(days=900)
    first = story.payment_event(payment_id, "SagaStarted", 1, {}, occurred_at=long_ago)
    story.payment_event(payment_id, "SagaStarted", 1, {}, event_id=first.event_id, occurred_at=long_ago)
    await sink.write(story.batch())
    assert len(await sink.dirty_wallets(story.wallet_topic, 0)) == 2
    await sink.mark_cached({(story.wallet_topic, 0): 5})
    story.payment_event(ada, "PaymentRequested", 1, {"x": "\0"})
    batch = story.batch()
    ((place, advance),) = batch.positions.items()
    batch.positions = {}
    part = Part(SyntheticRecord(*place, batch.events[0].source_offset, 0, ada.encode(), b""), batch)
    parking = PostgresParking(sink)
    assert len(await parking.write(place, advance, [part]) or ()) == 1
    mended = Part(part.record, SinkBatch({}, [batch.events[0]._replace(event_data="{}")]))
    assert await parking.retry(place, ada, lambda _: mended) == 1
    await project_earlier(roles.owner, LONG_AGO)
    assert await close_day(pool, story.wallet_topic, "") is not None
    assert await differences(pool) == []


@pytest.mark.parametrize("table", HISTORY)
async def test_the_application_can_neither_change_nor_delete_history(pool: Pool, table: str) -> None:
    for statement in (f"UPDATE {table} SET chain_hash = NULL", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await pool.execute(statement.replace("chain_hash", await first_column(pool, table)))


async def first_column(pool: Pool, table: str) -> str:
    name: str = await pool.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", table
    )
    return name


async def test_the_application_can_neither_change_a_partition_directly_nor_create_tables(pool: Pool) -> None:
    await PostgresSink(pool).ensure_partitions()
    month = datetime.now(UTC).strftime("events_y%Ym%m")
    for statement in (
        f"DELETE FROM {month}",
        "CREATE TABLE mine (id INT)",
        "DROP TABLE payments",
        "DELETE FROM payments",
        "ALTER TABLE events DISABLE TRIGGER ALL",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_the_application_reads_archived_months_and_only_the_owner_archives(
    roles: Roles, pool: Pool, database_only: Settings, tmp_path: Path
) -> None:
    changes = {"postgres": roles.dsn(roles.application), "postgres_admin": roles.owner}
    async with old(database_only.model_copy(update=changes), tmp_path) as scenario:
        await scenario.tell()
        narrow = scenario.config.model_copy(update={"postgres_admin": ""})
        with pytest.raises(Rejected, match="LEDGER_POSTGRES_ADMIN"):
            await archive_months(narrow, DECEMBER, scenario.said.append)
        await scenario.archive()
        scenario.repeat(scenario.archived())
        await scenario.write()
        assert await scenario.touched() == []
    assert await pool.fetchval("SELECT count(*) FROM archives") == 2
    for table in ("archives", "archived_events"):
        for statement in (f"DELETE FROM {table}", f"INSERT INTO {table} TABLE {table}", f"TRUNCATE {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await pool.execute(statement)


async def test_the_projector_goes_on_after_an_upgrade_before_its_role_has_been_given_rights_again(
    roles: Roles, pool: Pool
) -> None:
    assert (await downgrade(roles.owner, 15))[-1] == "0016_archive"
    await upgrade(roles.owner)
    story = Story()
    story.deposit(story.open(), 1000)
    await PostgresSink(pool).write(story.batch())
    assert await pool.fetchval("SELECT count(*) FROM archived_events") == 0


async def test_the_analyst_reads_all_tables_including_later_ones_and_writes_nothing(roles: Roles) -> None:
    owner, analyst = [await asyncpg.connect(roles.dsn(role)) for role in ("ledger", roles.analyst)]
    await owner.execute("CREATE VIEW outstanding AS SELECT * FROM payments WHERE ended_at IS NULL")
    for table in (*HISTORY, "payments", "wallet_snapshots", "outstanding", "analytics.payments_per_day"):
        assert await analyst.fetchval(f"SELECT count(*) FROM {table}") == 0
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await analyst.execute("DELETE FROM payments")
    await analyst.execute("SET default_transaction_read_only = off")
    for statement in ("DELETE FROM payments", "SELECT ensure_events_partition('2020-01-01')"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await analyst.execute(statement)
    await owner.close()
    await analyst.close()


async def test_closing_a_day_without_the_right_is_reported_and_stops_nothing(
    roles: Roles, pool: Pool
) -> None:
    story = Story()
    story.open()
    await PostgresSink(pool).write(story.batch())
    await project_earlier(roles.owner, LONG_AGO)
    owner = await asyncpg.connect(roles.owner)
    await owner.execute(f"REVOKE INSERT ON audit_roots FROM {roles.application}")
    await owner.close()
    with pytest.raises(Unavailable, match="grant the rights with `ledger-streams db roles --apply`"):
        await close_day(pool, story.wallet_topic, "")


async def test_the_application_refreshes_the_view_of_balances_through_its_owner_s_function(
    roles: Roles, pool: Pool
) -> None:
    story = Story()
    story.deposit(story.open(), 1000)
    await PostgresSink(pool).write(story.batch())
    for _ in range(2):
        assert await refresh_balances(pool)
    assert await pool.fetchval("SELECT current_balance FROM wallet_balances") == 10
    for statement in (
        "REFRESH MATERIALIZED VIEW wallet_balances",
        "UPDATE wallet_balances_refreshed SET refreshed_at = now()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
    async with await create_pool(roles.dsn(roles.analyst)) as analysts:
        assert await analysts.fetchval("SELECT current_balance FROM wallet_balances") == 10
        with pytest.raises(Unavailable, match="grant the rights with `ledger-streams db roles --apply`"):
            await refresh_balances(analysts)


async def test_each_role_has_its_limits(roles: Roles) -> None:
    found = {}
    for role in (roles.application, roles.analyst):
        connection = await asyncpg.connect(roles.dsn(role))
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        found[role] = [await connection.fetchval(f"SHOW {name}") for name in names]
        await connection.close()
    assert found == {roles.application: ["1min", "1min"], roles.analyst: ["5min", "1min"]}


async def test_rights_outlive_a_rebuild(roles: Roles, pool: Pool) -> None:
    story = Story()
    story.deposit(story.open(), 1000)
    async with open_rebuild_tables(roles.owner) as tables:
        await PostgresSink(tables.pool).write(story.batch())
        assert await refresh_balances(tables.pool)

        async def nothing_more(_: object) -> None:
            return None

        await tables.live.swap(nothing_more, endings_stay=False)
    story.deposit(story.open(), 1000)
    await PostgresSink(pool).write(story.batch())
    assert await pool.fetchval("SELECT count(*) FROM wallet_events") == 4
    assert await pool.fetchval("SELECT count(*) FROM wallet_balances") == 1
    assert await refresh_balances(pool)
    assert await pool.fetchval("SELECT count(*) FROM wallet_balances") == 2
    for table in HISTORY[:4]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await pool.execute(f"DELETE FROM {table}")


async def test_the_statements_may_be_printed_repeated_and_not_bind_the_owner(roles: Roles) -> None:
    said = await role_statements(roles.owner, application=roles.application, analyst=None)
    assert f"GRANT SELECT, INSERT ON public.events TO {roles.application}" in said
    assert not [statement for statement in said if "CREATE ROLE" in statement]
    await give_roles(roles.owner, application=roles.application, analyst=None)
    with pytest.raises(Rejected, match="owns the tables"):
        await give_roles(roles.owner, application="ledger", analyst=None)
    with pytest.raises(Rejected, match="LEDGER_POSTGRES_ADMIN"):
        await give_roles(roles.dsn(roles.application), application=None, analyst=roles.analyst)
