"""Double entry checked by PostgreSQL itself: the postings of each event sum to zero."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

import asyncpg
import pytest

from ledger_streams.adapters.postgres.migrations import downgrade
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.replay import open_rebuild_tables
from ledger_streams.adapters.postgres.rows import SinkBatch, TopicPartition
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.errors import InvariantBroken
from ledger_streams.settings import Settings
from tests.projected import Story, new_id

TABLES: Final = (
    "events",
    "wallet_events",
    "wallet_snapshots",
    "payments",
    "postings",
    "projection_positions",
)
PUT: Final = """
INSERT INTO postings (event_id, leg, account, currency, amount_minor, occurred_at) VALUES """
LEG: Final = "('{event}', {leg}, '{account}', '{currency}', {amount}, now())"


@pytest.fixture
async def pool(schema_only: Settings) -> AsyncIterator[Pool]:
    async with await create_pool(schema_only.postgres) as pool:
        yield pool


def legs(event: str, *amounts: tuple[str, int]) -> str:
    """Return the owner's INSERT of legs of one event, each a currency and minor units."""
    return PUT + ", ".join(
        LEG.format(event=event, leg=leg, account=f"wallet:{leg}", currency=currency, amount=amount)
        for leg, (currency, amount) in enumerate(amounts)
    )


def told() -> SinkBatch:
    """A deposit and a transfer: six legs of three events."""
    story = Story()
    ada, bob = story.open(), story.open()
    story.deposit(ada, 1000)
    story.transfer(ada, bob, 250)
    return story.batch()


async def rows(pool: Pool) -> list[int]:
    return [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


async def test_a_batch_with_one_unbalanced_event_is_refused_whole_and_the_event_is_named(pool: Pool) -> None:
    batch = told()
    wrong = batch.postings[3]
    batch.postings[3] = wrong._replace(amount_minor=wrong.amount_minor + 1)
    said = f"postings of event {wrong.event_id} do not sum to zero: 1 minor units of EUR too much"
    with pytest.raises(InvariantBroken, match=said):
        await PostgresSink(pool).write(batch)
    assert await rows(pool) == [0] * len(TABLES)
    batch.postings[3] = wrong
    await PostgresSink(pool).write(batch)
    assert (await rows(pool))[4] == 6


@pytest.mark.parametrize(
    "amounts",
    [
        [("EUR", 5)],
        [("EUR", 5), ("EUR", -4)],
        [("EUR", 5), ("USD", -5)],
        [("EUR", 5), ("EUR", -5), ("USD", 1)],
    ],
)
async def test_the_owner_s_own_insert_is_refused_unless_each_currency_sums_to_zero(
    pool: Pool, amounts: list[tuple[str, int]]
) -> None:
    event = new_id()
    with pytest.raises(asyncpg.CheckViolationError, match=f"event {event} do not sum to zero") as refused:
        await pool.execute(legs(event, *amounts))
    assert refused.value.table_name == "postings"
    await pool.execute(legs(event, ("EUR", 5), ("EUR", -5), ("USD", 7), ("USD", -3), ("USD", -4)))
    assert await pool.fetchval("SELECT count(*) FROM postings") == 5


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE postings SET amount_minor = amount_minor + 1 WHERE account LIKE 'external:%'",
        "UPDATE postings SET currency = 'USD' WHERE leg = 1",
        "UPDATE postings SET event_id = gen_random_uuid() WHERE leg = 1",
        "DELETE FROM postings WHERE leg = 1",
    ],
)
async def test_a_single_leg_can_be_neither_changed_nor_deleted(pool: Pool, change: str) -> None:
    await PostgresSink(pool).write(told())
    before = await pool.fetch("SELECT * FROM postings ORDER BY event_id, leg")
    with pytest.raises(asyncpg.CheckViolationError, match="do not sum to zero"):
        await pool.execute(change)
    assert await pool.fetch("SELECT * FROM postings ORDER BY event_id, leg") == before


async def test_all_legs_of_an_event_may_be_changed_or_deleted_together(pool: Pool) -> None:
    await PostgresSink(pool).write(told())
    await pool.execute("UPDATE postings SET amount_minor = 2 * amount_minor")
    await pool.execute("UPDATE postings SET account = 'external:EUR' WHERE account = 'transit:EUR'")
    await pool.execute("DELETE FROM postings")
    assert await pool.fetchval("SELECT count(*) FROM postings") == 0


async def test_the_check_outlives_a_rebuild_and_goes_with_its_migration(
    pool: Pool, schema_only: Settings
) -> None:
    batch = told()
    await PostgresSink(pool).write(batch)
    async with open_rebuild_tables(schema_only.postgres) as rebuilt:
        with pytest.raises(InvariantBroken, match="do not sum to zero"):
            await PostgresSink(rebuilt.pool).write(replace(batch, postings=batch.postings[1:]))
        await PostgresSink(rebuilt.pool).write(batch)
        await rebuilt.live.swap(nothing_more, endings_stay=True)
    triggers = await pool.fetch(
        """SELECT tgname, tgfoid::regproc::text FROM pg_trigger
            WHERE tgrelid = 'postings'::regclass AND NOT tgisinternal ORDER BY 1"""
    )
    names = ("postings_added", "postings_changed", "postings_removed")
    assert [tuple(row) for row in triggers] == [(name, "postings_sum_to_zero") for name in names]
    with pytest.raises(asyncpg.CheckViolationError, match="do not sum to zero"):
        await pool.execute(legs(new_id(), ("EUR", 5)))
    await downgrade(schema_only.postgres, 14)
    await pool.execute(legs(new_id(), ("EUR", 5)))
    assert await pool.fetchval("SELECT to_regproc('postings_sum_to_zero')") is None


async def nothing_more(_: Mapping[TopicPartition, int]) -> None:
    """Take it that nothing was projected since."""
