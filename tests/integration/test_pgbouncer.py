"""PgBouncer in transaction mode: no session state, and limits delay payments without losing any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from ledger_streams.adapters.postgres.migrations import upgrade
from ledger_streams.adapters.postgres.pool import create_pool, is_behind_pooler, open_connection
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.errors import Unavailable
from ledger_streams.local.stack.pgbouncer import CLIENTS_MAX, POOL_SIZE
from ledger_streams.resilience import retried
from ledger_streams.settings import Settings
from tests.bouncer import bouncer
from tests.projected import Story, new_id

SERVERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)

ADVISORY_LOCKS = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.fixture
async def bounced(schema_only: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """An empty schema behind a PgBouncer as the local stack has it."""
    async with bouncer(schema_only, tmp_path) as settings:
        yield settings


async def test_pgbouncer_is_distinguished_from_postgresql(bounced: Settings) -> None:
    async with (
        open_connection(bounced.postgres) as direct,
        open_connection(bounced.pooled_postgres) as pooled,
    ):
        assert (await is_behind_pooler(direct), await is_behind_pooler(pooled)) == (False, True)


async def test_sinks_and_readers_share_server_connections_and_leave_no_prepared_statement(
    bounced: Settings,
) -> None:
    """Two pools are two processes to PgBouncer; round robin gives each transaction another server."""
    stories = [Story() for _ in range(8)]

    async def tell(story: Story) -> str:
        async with await create_pool(bounced.pooled_postgres) as pool:
            sink, wallet = PostgresSink(pool), story.open()
            for _ in range(20):
                story.move(wallet, 100, new_id(), other="external")  # so that COPY is the last statement
                await sink.write(story.batch())
            view = await PostgresReadModel(pool).wallet(wallet)
            assert view is not None
            return view.balances["EUR"].balance

    assert await asyncio.gather(*map(tell, stories)) == ["20.00"] * len(stories)
    connection = await asyncpg.connect(bounced.pooled_postgres, statement_cache_size=0)
    for _ in range(POOL_SIZE):
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
    await connection.close()


async def test_migrations_go_through_pgbouncer_too(database_only: Settings, tmp_path: Path) -> None:
    async with bouncer(database_only, tmp_path) as bounced:
        assert len(await upgrade(bounced.pooled_postgres)) > 5
        assert await upgrade(bounced.pooled_postgres) == []


async def test_a_replay_through_pgbouncer_is_refused_before_it_takes_a_lock(bounced: Settings) -> None:
    with pytest.raises(Unavailable, match="LEDGER_PGBOUNCER to its pooler"):
        async with open_rebuild_tables(bounced.pooled_postgres):
            raise AssertionError("it began")
    async with open_connection(bounced.postgres) as connection:
        assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_a_thousand_clients_share_the_pool_and_none_fails(bounced: Settings) -> None:
    over = asyncio.Event()

    async def watch() -> int:
        servers_max = 0
        async with open_connection(bounced.postgres) as connection:
            while not over.is_set():
                servers_max = max(servers_max, await connection.fetchval(SERVERS))
                await asyncio.sleep(0.05)
        return servers_max

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        async with opening:
            return await asyncpg.connect(bounced.pooled_postgres, statement_cache_size=0, timeout=60)

    async def ask(connection: asyncpg.Connection[asyncpg.Record], number: int) -> None:
        for step in range(5):
            async with connection.transaction():
                assert await connection.fetchval("SELECT $1::int + $2::int", number, step) == number + step

    opening = asyncio.Semaphore(100)  # PgBouncer's listen queue
    watching = asyncio.create_task(watch())
    clients = await asyncio.gather(*(connect() for _ in range(CLIENTS_MAX)))
    await asyncio.gather(*(ask(client, number) for number, client in enumerate(clients)))
    with pytest.raises(asyncpg.PostgresConnectionError, match="no more connections allowed"):
        await asyncpg.connect(bounced.pooled_postgres)
    over.set()
    most = await watching
    await asyncio.gather(*(client.close() for client in clients))
    assert 1 < most <= POOL_SIZE


async def test_at_the_limit_a_reader_is_refused_and_the_sink_waits(bounced: Settings) -> None:
    """A pool of one connection, which somebody else holds."""
    async with await create_pool(bounced.pooled_postgres, connections_max=1) as pool:
        story = Story()
        wallet, batch = story.open(), story.batch()
        refused = _failed()
        async with pool.acquire():
            writing = asyncio.create_task(retried(lambda: PostgresSink(pool).write(batch), purpose="a test"))
            with pytest.raises(Unavailable):
                await PostgresReadModel(pool).wallet(wallet)
            assert _failed() > refused
        await writing
        assert await PostgresReadModel(pool).wallet(wallet) is not None


async def test_a_caller_waiting_too_long_at_pgbouncers_limit_is_refused_and_retries(
    schema_only: Settings, tmp_path: Path
) -> None:
    async with (
        bouncer(schema_only, tmp_path, pool_size=1) as bounced,
        await create_pool(bounced.pooled_postgres) as pool,
    ):
        async with open_connection(bounced.pooled_postgres) as holder, holder.transaction():
            await holder.execute("SELECT 1")
            with pytest.raises(Unavailable, match="query_wait_timeout"):
                await PostgresSink(pool).positions([("any", 0)])
        await retried(PostgresReadModel(pool).answers, purpose="a test")


def _failed() -> float:
    return REGISTRY.get_sample_value("ledger_postgres_acquires_failed_total") or 0.0
