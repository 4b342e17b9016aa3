"""The page of PostgreSQL says what a migrated database has."""

from __future__ import annotations

from ledger_streams.settings import Settings
from tests.reference import postgres
from tests.reference.pages import checked_in


async def test_the_page_of_postgres_is_what_a_migrated_database_has(schema_only: Settings) -> None:
    page = await postgres.page(schema_only.postgres)
    assert checked_in("postgres") == page, "docs/reference/postgres.md differs: run make reference"
