"""Parking on a real PostgreSQL: refused records are parked in order, all others are projected once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger_streams.adapters.postgres.parked_rows import BEHIND, Part, parked_row, record_of
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.refusals import NOT_STORABLE
from ledger_streams.adapters.postgres.rows import Advance, EventRow, SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.audit.chains import Finding
from ledger_streams.audit.database import open_audit
from ledger_streams.errors import InvariantBroken, Rejected, Unreadable
from ledger_streams.kafka.synthetic_record import SyntheticRecord
from ledger_streams.resilience import retried
from ledger_streams.settings import Settings
from tests.databases import own_database
from tests.integration.test_postgres_sink import end_connections
from tests.projected import Story, new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUL = r'{"x": "\u0000"}'


class Projected:
    """Partition 0 of a story's two topics, told record by record."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.story = Story()
        self.sink = PostgresSink(pool)
        self.parking = PostgresParking(self.sink)

    def payment(self, payment_id: str, data: str = "{}", **fields: Any) -> Part:
        """Tell of a record of payment-events whose row has these fields."""
        event = self.story.payment_event(payment_id, "PaymentRequested", 1, {})
        batch = self.story.batch()
        batch.events = [event._replace(event_data=data, **fields)]
        return self.part(self.story.payment_topic, event.source_offset, payment_id, data, batch)

    def wallet(self, wallet_id: str, data: str | None = None) -> Part:
        """Tell of a wallet's next event; with `data` it is one that PostgreSQL may refuse."""
        self.story.hold(wallet_id, new_id(), 0)
        batch = self.story.batch()
        (row,) = batch.wallet_events
        batch.wallet_events = [row._replace(event_data=data or row.event_data)]
        return self.part(self.story.wallet_topic, row.source_offset, wallet_id, row.event_data, batch)

    def opened(self) -> tuple[str, Part]:
        """Tell of a new wallet."""
        wallet_id, batch = self.story.open(), self.story.batch()
        (row,) = batch.wallet_events
        return wallet_id, self.part(self.story.wallet_topic, row.source_offset, wallet_id, "opened", batch)

    def part(self, topic: str, offset: int, key: str, value: str, batch: SinkBatch) -> Part:
        headers = [("h", b"\xff")]
        record = SyntheticRecord(topic, 0, offset, 1_764_000_000_123, key.encode(), value.encode(), headers)
        batch.positions = {}
        return Part(record, batch)

    async def write(self, *parts: Part) -> list[tuple[int, str]]:
        """Write the parts, which follow what was written before; return offsets and reasons of the parked."""
        place = (parts[0].record.topic, 0)
        now = (await self.sink.positions([place]))[place]
        parked = await self.parking.write(place, Advance(now, parts[-1].record.offset + 1), parts)
        assert parked is not None
        return [(row.source_offset, row.reason) for row in parked]

    async def payments(self) -> list[str]:
        """Return the payments of the events that are projected, in order."""
        rows = await self.pool.fetch(
            "SELECT aggregate_id::text FROM events WHERE topic = $1 ORDER BY source_offset",
            self.story.payment_topic,
        )
        return [row[0] for row in rows]

    async def version(self, wallet_id: str) -> int:
        """Return the version that the wallet's snapshot has; 0 without one."""
        found = await self.pool.fetchval(
            "SELECT last_event_version FROM wallet_snapshots WHERE wallet_id = $1", wallet_id
        )
        return found or 0

    async def parked(self, columns: str = "*") -> list[Any]:
        """Return the parked records of the story, in order."""
        topics = [self.story.payment_topic, self.story.wallet_topic]
        return list(
            await self.pool.fetch(
                f"SELECT {columns} FROM parked_records WHERE topic = ANY($1) ORDER BY source_offset", topics
            )
        )

    async def findings(self) -> list[Finding]:
        """Return what `audit verify` finds in the chains."""
        async with open_audit(self.pool) as audit:
            _, events = await audit.events(None)
            _, wallets = await audit.wallets(self.story.wallet_topic, None, None)
            return [*events, *wallets]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(stack: Settings) -> AsyncIterator[Pool]:
    """One database for all: each test has topics, wallets and payments of its own."""
    async with own_database(stack, f"t{uuid4().hex[:12]}") as dsn, await create_pool(dsn) as pool:
        yield pool


@pytest.fixture
def projected(pool: Pool) -> Projected:
    return Projected(pool)


DEEP = "[" * 20_000 + "]" * 20_000
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "U+0000": (NUL, {}),
    "U+0000 under a key that stands twice": (r'{"x": "\u0000", "x": 1}', {}),
    "U+0000 in a key": (r'{"\u0000": 1}', {}),
    "half a surrogate pair": (r'{"x": "\ud800"}', {}),
    "a number out of range": ('{"x": 1e200000}', {}),
    "nesting without bottom": (f'{{"x": {DEEP}}}', {}),
    "no JSON": ("{", {}),
    "a text too long for its column": ("{}", {"event_type": "T" * 101}),
    "a number too large for its column": ("{}", {"event_version": 2**63}),
    "an id that is none": ("{}", {"correlation_id": "x"}),
    "a NUL in an SQL text": ("{}", {"event_type": "a\0b"}),
    "a surrogate in an SQL text": ("{}", {"event_type": "\ud800"}),
    "null where there is none": ("{}", {"event_type": None}),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_record_that_postgresql_refuses_is_parked_and_the_others_are_projected(
    projected: Projected, name: str
) -> None:
    data, fields = REFUSED[name]
    before, bad, after = (new_id() for _ in range(3))
    parts = [projected.payment(before), projected.payment(bad, data, **fields), projected.payment(after)]
    assert await projected.write(*parts) == [(1, NOT_STORABLE)]
    assert await projected.payments() == [before, after]
    (row,) = await projected.parked()
    assert record_of(row) == parts[1].record
    assert (str(row["aggregate_id"]), row["ended_at"]) == (bad, None)
    assert await projected.findings() == []


async def test_a_constraint_of_a_table_parks_and_a_missing_month_does_not(projected: Projected) -> None:
    bad = new_id()
    await projected.pool.execute(f"ALTER TABLE events ADD CHECK (aggregate_id <> '{bad}')")
    assert await projected.write(projected.payment(new_id()), projected.payment(bad)) == [(1, NOT_STORABLE)]


async def test_later_records_of_the_aggregate_wait_behind_in_order_and_the_others_go_on(
    projected: Projected,
) -> None:
    ada, opened_ada = projected.opened()
    bob, opened_bob = projected.opened()
    bad, more = projected.wallet(ada, NUL), [projected.wallet(ada), projected.wallet(bob)]
    parked = await projected.write(opened_ada, opened_bob, bad, *more)
    assert parked == [(2, NOT_STORABLE), (3, BEHIND)]
    assert await projected.write(projected.wallet(ada), projected.wallet(bob)) == [(5, BEHIND)]
    assert (await projected.version(ada), await projected.version(bob)) == (1, 3)
    assert await projected.findings() == []
    waiting = await projected.parking.waiting([(projected.story.wallet_topic, 0)])
    assert waiting == {(projected.story.wallet_topic, 0): 3}


async def test_an_unreadable_record_is_parked_with_its_reason(projected: Projected) -> None:
    part = projected.payment(new_id())
    part.batch, part.refusal = SinkBatch({}), Unreadable(reason="invalid", detail="data: a\0b \ud800")
    assert await projected.write(part) == [(0, "invalid")]


async def test_each_refused_record_of_a_batch_is_found(projected: Projected) -> None:
    parts = [projected.payment(new_id(), NUL if number % 7 == 0 else "{}") for number in range(100)]
    parked = await projected.write(*parts)
    assert [offset for offset, _ in parked] == list(range(0, 100, 7))
    assert len(await projected.payments()) == 100 - len(parked)
    assert await projected.findings() == []


async def test_part_of_a_batch_with_an_unanswered_commit_is_not_written_twice(projected: Projected) -> None:
    place, parts = (projected.story.payment_topic, 0), [projected.payment(new_id(), NUL)]
    assert await projected.parking.write(place, Advance(None, 1), parts)
    assert await projected.parking.write(place, Advance(None, 1), parts) is None
    assert len(await projected.parked()) == 1


async def test_a_lost_connection_is_retried_and_parks_nothing(projected: Projected, stack: Settings) -> None:
    parts = [projected.payment(new_id()) for _ in range(3)]
    name = await projected.pool.fetchval("SELECT current_database()")
    dsn = f"{stack.postgres.rpartition('/')[0]}/{name}"
    await end_connections(stack.model_copy(update={"postgres": dsn}))
    assert await retried(lambda: projected.write(*parts), purpose="a test") == []


async def test_a_version_gap_without_a_parked_record_stops_the_sink_and_writes_nothing(
    projected: Projected,
) -> None:
    ada, opened = projected.opened()
    _missing, next_one = projected.wallet(ada), projected.wallet(ada)
    with pytest.raises(InvariantBroken, match="version gap, event version 3 came after 1"):
        await projected.write(opened, next_one)
    assert await projected.version(ada) == 0


async def test_a_programming_error_parks_no_record(projected: Projected) -> None:
    part = projected.payment(new_id())
    part.batch.events = [EventRow._make((*part.batch.events[0][:5], "no time", *part.batch.events[0][6:]))]
    with pytest.raises(AttributeError):
        await projected.write(part)


async def refuse(pool: Pool, wallet_id: str) -> None:
    is_first = f"wallet_id <> '{wallet_id}' OR event_version = 1"
    await pool.execute(f"ALTER TABLE wallet_events ADD CONSTRAINT no CHECK ({is_first})")


async def test_a_retry_projects_in_order_once_and_the_chains_hold(projected: Projected) -> None:
    ada, opened = projected.opened()
    await projected.write(opened)
    await refuse(projected.pool, ada)
    parts = [projected.wallet(ada), projected.wallet(ada)]
    await projected.write(*parts)
    by_offset = {part.record.offset: part for part in parts}

    async def retry() -> int:
        place = projected.story.wallet_topic, 0
        return await projected.parking.retry(place, ada, lambda record: by_offset[record.offset])

    with pytest.raises(Rejected, match="still cannot be projected"):
        await retry()
    await projected.pool.execute("ALTER TABLE wallet_events DROP CONSTRAINT no")
    both = await asyncio.gather(retry(), retry(), return_exceptions=True)
    assert [done for done in both if not isinstance(done, Rejected)].count(2) == 1
    assert await retry() == 0
    assert await projected.write(projected.wallet(ada)) == []
    assert (await projected.version(ada), await projected.findings()) == (4, [])
    ended = await projected.parked("outcome, ended_before")
    assert [tuple(row) for row in ended] == [("projected", 3)] * 2


async def test_a_retried_record_comes_last_in_the_chain_of_events(projected: Projected) -> None:
    bad = projected.payment(new_id(), NUL)
    await projected.write(bad, projected.payment(new_id()))
    place = projected.story.payment_topic, 0
    row = bad.batch.events[0]._replace(event_data='{"x": 1}')
    mended = Part(bad.record, SinkBatch({}, [row]))
    assert await projected.parking.retry(place, row.aggregate_id, lambda _: mended) == 1
    await projected.write(projected.payment(new_id()))
    assert await projected.findings() == []
    assert len(await projected.payments()) == 3


async def test_discarding_a_parked_record_frees_the_records_behind_it(projected: Projected) -> None:
    payment_id = new_id()
    parts = [projected.payment(payment_id, NUL), projected.payment(payment_id)]
    await projected.write(*parts)
    place = projected.story.payment_topic, 0
    assert await projected.parking.discard(place, 0)
    assert not await projected.parking.discard(place, 0)
    assert await projected.parking.retry(place, payment_id, lambda _: parts[1]) == 1


async def test_a_parked_record_is_restored_byte_for_byte() -> None:
    record = SyntheticRecord("t", 3, 7, 1_764_000_000_123, b"\xff", None, [("a", b"\x00"), ("b", b"")])
    row = parked_row(Part(record, SinkBatch({})), "invalid", "\ud800")
    assert record_of(row._asdict()) == record
