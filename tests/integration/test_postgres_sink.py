"""The sink on a real PostgreSQL: a batch is written once, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest

from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.rows import Advance, SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.errors import InvariantBroken
from ledger_streams.resilience import retried
from ledger_streams.settings import Settings
from tests.projected import Story, new_id


@pytest.fixture
async def pool(schema_only: Settings) -> AsyncIterator[Pool]:
    async with await create_pool(schema_only.postgres) as pool:
        yield pool


@pytest.fixture
def sink(pool: Pool) -> PostgresSink:
    return PostgresSink(pool)


async def end_connections(settings: Settings) -> None:
    """Have the server end every connection to the database but this one."""
    connection = await asyncpg.connect(settings.postgres)
    await connection.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    )
    await connection.close()


@asynccontextmanager
async def relay(host: str, port: int, has_ended: asyncio.Event, *, lingers_s: float) -> AsyncIterator[int]:
    """Pass a port's traffic on to `host:port`; a client learns of the server's end `lingers_s` after it.

    `has_ended` is set when the client has been sent the server's last word.
    """

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait_s: float) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        has_ended.set()
        await asyncio.sleep(wait_s)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(host, port)
        async with asyncio.TaskGroup() as group:
            group.create_task(pass_on(reader, server_writer, 0))
            group.create_task(pass_on(server_reader, writer, lingers_s))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]


async def count(pool: Pool, table: str, column: str, value: str) -> int:
    rows: int = await pool.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", value)
    return rows


async def test_a_batch_fills_every_table_and_moves_its_positions(pool: Pool, sink: PostgresSink) -> None:
    story = Story()
    source, target = story.open(), story.open()
    story.deposit(source, 1000)
    payment_id = story.transfer(source, target, 250)
    keys = [(story.payment_topic, 0), (story.wallet_topic, 0)]
    assert await sink.positions(keys) == {keys[0]: None, keys[1]: None}
    await sink.write(story.batch())
    assert await sink.positions(keys) == {keys[0]: 4, keys[1]: 5}
    assert await count(pool, "events", "aggregate_id", payment_id) == 2
    assert await count(pool, "wallet_events", "wallet_id", source) == 3
    assert await count(pool, "wallet_snapshots", "wallet_id", source) == 1
    assert await count(pool, "payments", "payment_id", payment_id) == 1
    assert await count(pool, "postings", "payment_id", payment_id) == 4


async def test_a_batch_whose_commit_went_unanswered_is_not_written_twice(
    pool: Pool, sink: PostgresSink
) -> None:
    story = Story()
    payment_id = story.deposit(story.open(), 1000)
    batch = story.batch()
    await sink.write(batch)
    await sink.write(batch)
    assert await count(pool, "postings", "payment_id", payment_id) == 2


async def test_a_writer_that_lost_its_partition_is_refused_and_writes_nothing(
    pool: Pool, sink: PostgresSink
) -> None:
    story = Story()
    story.open()
    await sink.write(story.batch())
    payment_id = story.deposit(story.open(), 1000)
    late = story.batch()
    late.positions = {**late.positions, (story.wallet_topic, 0): Advance(0, 9)}
    with pytest.raises(InvariantBroken, match="lost its partitions"):
        await sink.write(late)
    assert await count(pool, "events", "aggregate_id", payment_id) == 0
    assert (await sink.positions([(story.payment_topic, 0)])) == {(story.payment_topic, 0): None}


async def test_of_two_writers_at_once_one_is_refused(pool: Pool, sink: PostgresSink) -> None:
    story = Story()
    story.open()
    await sink.write(story.batch())
    key, other = (story.wallet_topic, 0), PostgresSink(pool)
    rivals = [sink.write(SinkBatch({key: Advance(1, 2)})), other.write(SinkBatch({key: Advance(1, 3)}))]
    ended = await asyncio.gather(*rivals, return_exceptions=True)
    assert [type(outcome) for outcome in ended if outcome] == [InvariantBroken]


@pytest.mark.parametrize("known_before", [True, False], ids=["next event missing", "first event missing"])
async def test_a_version_gap_is_refused_and_nothing_is_written(
    pool: Pool, sink: PostgresSink, known_before: bool
) -> None:
    story = Story()
    wallet_id = story.open()
    if known_before:
        await sink.write(story.batch())
    payments = [story.deposit(wallet_id, 1000) for _ in range(2)]
    batch = story.batch()
    del batch.wallet_events[0]
    with pytest.raises(InvariantBroken, match=rf"{wallet_id}: version gap, event version {2 + known_before}"):
        await sink.write(batch)
    assert await count(pool, "events", "aggregate_id", payments[0]) == 0
    assert await count(pool, "wallet_events", "wallet_id", wallet_id) == int(known_before)


async def test_a_snapshot_that_is_not_its_last_event_is_refused(sink: PostgresSink) -> None:
    story = Story()
    story.open()
    batch = story.batch()
    batch.snapshots[0] = batch.snapshots[0]._replace(last_event_version=2)
    with pytest.raises(InvariantBroken, match="snapshot of version 2, but its last event is 1"):
        await sink.write(batch)


async def test_a_foreign_event_id_seen_again_is_kept_beside(pool: Pool, sink: PostgresSink) -> None:
    story, event_id, at = Story(), new_id(), datetime(2026, 11, 20, tzinfo=UTC)
    for batches in ((1, 2), (3,)):  # twice in one batch, once more in the next
        for number in batches:
            data = {"number": number}
            story.payment_event(new_id(), "PaymentRequested", 1, data, event_id=event_id, occurred_at=at)
        await sink.write(story.batch())
    stored = await pool.fetchval("SELECT event_data->>'number' FROM events WHERE event_id = $1", event_id)
    repeats = await pool.fetch(
        "SELECT event_data->>'number', source_offset FROM event_repeats WHERE event_id = $1 ORDER BY 1",
        event_id,
    )
    assert stored == "1"
    assert [tuple(row) for row in repeats] == [("2", 1), ("3", 2)]


async def test_a_month_without_a_partition_gets_one(pool: Pool) -> None:
    month = datetime(2031, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
    stories = [Story() for _ in range(4)]
    for story in stories:
        story.payment_event(new_id(), "PaymentRequested", 1, {}, occurred_at=month)
    await asyncio.gather(*(PostgresSink(pool).write(story.batch()) for story in stories))
    tables = await pool.fetch(
        "SELECT DISTINCT tableoid::regclass::text FROM events WHERE occurred_at = $1", month
    )
    assert [row[0] for row in tables] == ["events_y2031m02"]


async def test_wallets_are_dirty_until_they_are_marked_cached(sink: PostgresSink) -> None:
    story = Story()
    first, second = story.open(), story.open()
    await sink.write(story.batch())
    mine = {first, second}

    async def dirty() -> set[str]:
        return {wallet.wallet_id for wallet in await sink.dirty_wallets(story.wallet_topic, 0)} & mine

    assert await dirty() == mine
    await sink.mark_cached({(story.wallet_topic, 0): 1})
    assert await dirty() == {second}
    await sink.mark_cached({(story.wallet_topic, 0): 2})
    await sink.mark_cached({(story.wallet_topic, 0): 0})
    assert await dirty() == set()


async def test_the_owners_queries_return_their_results(pool: Pool, sink: PostgresSink) -> None:
    story, payment_id, now = Story(), new_id(), datetime.now(UTC)
    story.payment_event(
        payment_id, "WalletDeducted", 1, {"amount": "10.25", "currency": "XTS"}, occurred_at=now
    )
    story.payment_event(payment_id, "PaymentCompleted", 2, {"new_field": 1}, occurred_at=now)
    await sink.write(story.batch())
    total = await pool.fetchval(
        """SELECT SUM((event_data->>'amount')::decimal)::text FROM events
            WHERE event_type = 'WalletDeducted' AND occurred_at >= now() - INTERVAL '24 hours'
              AND event_data->>'currency' = 'XTS' AND aggregate_id = $1""",
        payment_id,
    )
    evolved = await pool.fetchval(
        """SELECT event_data->>'new_field' FROM events
            WHERE event_type = 'PaymentCompleted' AND event_data ? 'new_field' AND aggregate_id = $1""",
        payment_id,
    )
    assert (total, evolved) == ("10.25", "1")


async def test_a_cut_connection_costs_a_retry_and_nothing_else(
    pool: Pool, sink: PostgresSink, schema_only: Settings
) -> None:
    story = Story()
    payment_id = story.deposit(story.open(), 1000)
    batch = story.batch()
    await end_connections(schema_only)
    await retried(lambda: sink.write(batch), purpose="a test")
    assert await count(pool, "postings", "payment_id", payment_id) == 2


async def test_a_connection_that_dies_before_it_closes_costs_a_retry_and_nothing_else(
    schema_only: Settings,
) -> None:
    """The server's last word has been read and the end of the stream has not: asyncpg then knows no state."""
    server = urlsplit(schema_only.postgres)
    has_ended = asyncio.Event()
    async with relay(server.hostname or "", server.port or 5432, has_ended, lingers_s=3.0) as port:
        through = server._replace(netloc=f"ledger@127.0.0.1:{port}").geturl()
        async with await create_pool(through, connections_max=1) as pool:
            has_ended.clear()  # that was the connection which looked for a pooler
            story = Story()
            payment_id = story.deposit(story.open(), 1000)
            batch = story.batch()
            await end_connections(schema_only)
            await has_ended.wait()
            await retried(lambda: PostgresSink(pool).write(batch), purpose="a test")
            assert await count(pool, "postings", "payment_id", payment_id) == 2
