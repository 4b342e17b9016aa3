"""A database with events of several months, two of them old, and a folder for their archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import asyncpg

from ledger_streams import topics
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.rows import EventRow
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.archive.checks import event_row
from ledger_streams.archive.files import Archive, Manifest
from ledger_streams.archive.months import archive_months, check_archive, month_statuses
from ledger_streams.audit.chains import Finding
from ledger_streams.audit.database import open_audit
from ledger_streams.settings import Settings
from tests.projected import Story
from tests.projections import COLUMNS

OCTOBER: Final = date(2024, 10, 1)
NOVEMBER: Final = date(2024, 11, 1)
DECEMBER: Final = date(2024, 12, 1)
FILE: Final = "events_y2024m11.jsonl.gz"
EVERYTHING: Final = COLUMNS | {
    "events": f"{COLUMNS['events']}, recorded_at",
    "event_repeats": "event_repeats",
}


class Old:
    """A story that began long ago."""

    def __init__(self, config: Settings, pool: Pool) -> None:
        self.config, self.pool, self.story = config, pool, Story()
        self.wallet_topic = config.topic(topics.WALLET_EVENTS)
        self.story.name_wallet_topic(self.wallet_topic)
        self.folder = Path(config.archive)
        self.said: list[str] = []

    async def tell(self, payments: int = 3) -> None:
        """Write payments of October and November 2024 and of now, an event of each comes twice."""
        self.story.now = datetime(2024, 10, 31, 23, 59, 50, tzinfo=UTC)
        ada, bob = self.story.open(), self.story.open()
        for begin in (
            None,
            datetime(2024, 11, 30, 23, 59, 50, tzinfo=UTC),
            datetime(2026, 11, 24, tzinfo=UTC),
        ):
            self.story.now = begin or self.story.now
            for _ in range(payments):
                self.story.deposit(ada, 1000)
                first = self.story.payment_event(
                    self.story.transfer(ada, bob, 250),
                    "SagaStarted",
                    1,
                    {"z": 1.50, "a": {"b": [1e2, "\\é"]}},
                )
                self.repeat(first)
            await self.write()

    def repeat(self, event: EventRow) -> None:
        """Tell of an event again."""
        about = (event.aggregate_id, event.event_type, event.event_version, {"again": True})
        self.story.payment_event(*about, event_id=event.event_id, occurred_at=event.occurred_at)

    def archived(self) -> EventRow:
        """Return an event that is in November's file."""
        return event_row(next(Archive(self.config.archive).rows(FILE)))

    async def write(self) -> None:
        """Write what was told."""
        await PostgresSink(self.pool).write(self.story.batch())

    async def archive(self, before: date = DECEMBER) -> list[Manifest]:
        """Archive what is older."""
        return await archive_months(self.config, before, self.said.append)

    async def tables(self) -> dict[str, list[str]]:
        """Return all rows of all tables that a projector writes, as text."""
        sql = "SELECT ROW({})::text AS row FROM {} ORDER BY 1"
        return {
            name: [row["row"] for row in await self.pool.fetch(sql.format(columns, name))]
            for name, columns in EVERYTHING.items()
        }

    async def touched(self) -> list[Finding]:
        """Return what chains and days have to say, and the files."""
        async with open_audit(self.pool) as look:
            _, found = await look.events(None)
            _, of_wallets = await look.wallets(self.wallet_topic, None, None)
            return [
                *found,
                *of_wallets,
                *await look.days(self.wallet_topic, None, ""),
                *(await check_archive(self.config)).findings,
            ]

    async def states(self) -> dict[str, tuple[str, int, int]]:
        """Return by month where its rows are, and how many."""
        return {
            one.month: (one.state, one.rows, one.archived_rows) for one in await month_statuses(self.config)
        }

    async def count(self, table: str) -> int:
        """Count the rows of a table."""
        found: int = await self.pool.fetchval(f"SELECT count(*) FROM {table}")
        return found

    async def execute(self, statement: str) -> None:
        """Do what only the owner may."""
        connection = await asyncpg.connect(self.config.postgres)
        await connection.execute(statement)
        await connection.close()


@asynccontextmanager
async def old(settings: Settings, folder: Path) -> AsyncIterator[Old]:
    """Such a database, in one of the test's own."""
    config = settings.model_copy(update={"archive": str(folder)})
    async with await create_pool(config.postgres, connections_max=3) as pool:
        yield Old(config, pool)
