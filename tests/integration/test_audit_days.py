"""The day of a row is that of its projection, by PostgreSQL's clock, in UTC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import Pool, create_pool, open_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.audit.database import SQL, close_day, is_due, roots
from ledger_streams.audit.day_close import close_and_publish
from ledger_streams.audit.verification import verify_history
from ledger_streams.errors import Rejected
from ledger_streams.settings import Settings
from tests.projected import Story, new_id
from tests.recorded import LONG_AGO, project_earlier

pytestmark = pytest.mark.topics(topics.AUDIT_ROOTS)

ROWS = "SELECT count(*) FROM (SELECT FROM events UNION ALL SELECT FROM wallet_events) AS rows"


class Projected:
    """A database into which payments are projected at chosen moments."""

    def __init__(self, config: Settings, pool: Pool) -> None:
        self.config, self.pool, self.story = config, pool, Story()
        self.topic = config.topic(topics.WALLET_EVENTS)
        self.story.name_wallet_topic(self.topic)
        self.ada, self.bob = self.story.open(), self.story.open()

    async def project(self, moment: str = "now()") -> int:
        """Project a payment at a moment; return how many rows there are."""
        self.story.deposit(self.ada, 1000)
        payment_id = self.story.transfer(self.ada, self.bob, 250)
        self.story.payment_event(payment_id, "SagaStarted", 1, {})
        since = await self.pool.fetchval("SELECT clock_timestamp()")
        await PostgresSink(self.pool).write(self.story.batch())
        await project_earlier(self.config.postgres, moment, since=since)
        rows: int = await self.pool.fetchval(ROWS)
        return rows

    async def close(self) -> tuple[str, int] | None:
        """Close the next day; return it, and how many rows it has."""
        root = await close_day(self.pool, self.topic, "")
        return None if root is None else (root.day, root.leaves)


@pytest.fixture
async def projected(migrated: Settings) -> AsyncIterator[Projected]:
    async with open_pool(migrated.postgres, connections_max=2) as pool:
        yield Projected(migrated, pool)


def ago(days: int) -> str:
    """Return the date so many days ago, in UTC."""
    return str(datetime.now(UTC).date() - timedelta(days=days))


@pytest.mark.parametrize(
    "moment", ["now()", "today", "today - INTERVAL '1 minute'", "today - INTERVAL '23 hours'"]
)
async def test_the_first_close_is_of_the_first_whole_day(projected: Projected, moment: str) -> None:
    await projected.project(moment)
    assert not await is_due(projected.pool)
    assert await projected.close() is None
    assert await roots(projected.pool) == []


@pytest.mark.parametrize(
    "moment", ["today - INTERVAL '1 day'", LONG_AGO, "today - INTERVAL '24 hours 1 minute'"]
)
async def test_yesterday_is_closed_when_it_was_whole(projected: Projected, moment: str) -> None:
    rows = await projected.project(moment)
    assert await is_due(projected.pool)
    assert await projected.close() == (ago(1), rows)
    assert not await is_due(projected.pool)


async def test_records_of_today_are_not_in_yesterday_s_root(projected: Projected) -> None:
    rows = await projected.project(LONG_AGO)
    rows = await projected.project("today - INTERVAL '1 microsecond'")
    assert await projected.project("today") > rows
    assert await projected.close() == (ago(1), rows)
    result = await verify_history(projected.config, None, None)
    assert {(one.place, one.detail) for one in result.findings} == {("root", "is not on Kafka")}


async def test_each_day_on_which_nothing_closed_is_closed_and_empty_days_are_empty(
    projected: Projected,
) -> None:
    before = await projected.project("today - INTERVAL '100 hours'")
    later = await projected.project("today - INTERVAL '40 hours'")
    await projected.project("now()")
    made = await close_and_publish(projected.config)
    assert [(root.day, root.leaves) for root in made] == [
        (ago(4), before), (ago(3), 0), (ago(2), later - before), (ago(1), 0),
    ]  # fmt: skip
    assert await close_and_publish(projected.config) == []
    assert (await verify_history(projected.config, None, None)).findings == []


async def test_days_that_were_closed_too_late_stay_valid(
    projected: Projected, monkeypatch: pytest.MonkeyPatch
) -> None:
    await projected.project("today - INTERVAL '60 hours'")
    rows = await projected.project("today - INTERVAL '1 hour'")
    given = "WITH given AS (SELECT $1::text, $2::text, $3::text[], $4::int[], $5::bigint[]) "
    with monkeypatch.context() as patched:  # as all days were closed before
        patched.setitem(SQL, "boundaries_of", given + SQL["boundaries"])
        assert await projected.close() == (ago(2), rows)
    await projected.project("now()")
    assert [(root.day, root.leaves) for root in await close_and_publish(projected.config)] == [(ago(1), 0)]
    assert (await verify_history(projected.config, None, None)).findings == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_days_are_those_of_utc_wherever_the_server_is(projected: Projected, zone: str) -> None:
    rows = await projected.project("today - INTERVAL '1 day'")
    await projected.project("today")
    async with await create_pool(
        projected.config.postgres, connections_max=1, session={"timezone": zone}
    ) as pool:
        assert await pool.fetchval("SHOW timezone") == zone
        assert await is_due(pool)
        root = await close_day(pool, projected.topic, "")
    assert root is not None
    assert (root.day, root.leaves) == (ago(1), rows)


async def test_a_verification_of_a_missing_day_fails(projected: Projected) -> None:
    await projected.project("now()")
    result = await verify_history(projected.config, None, new_id())
    assert [(one.table, one.detail) for one in result.findings] == [("wallet_events", "no such wallet")]
    assert result.exit_code == 1
    with pytest.raises(Rejected, match="in the future"):
        await verify_history(projected.config, ago(-1), None)
    assert (await verify_history(projected.config, ago(0), projected.ada)).exit_code == 0
