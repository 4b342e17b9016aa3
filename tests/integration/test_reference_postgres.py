"""The page of PostgreSQL agrees with a migrated database."""

from __future__ import annotations

import re

from ledger_streams.settings import Settings
from tests.reference import postgres
from tests.reference.pages import checked_in


async def test_the_page_of_postgres_agrees_with_a_migrated_database(schema_only: Settings) -> None:
    page = await postgres.page(schema_only.postgres)
    assert checked_in("postgres") == page, "docs/reference/postgres.md differs: run make reference"


async def test_each_table_and_view_has_a_meaning(schema_only: Settings) -> None:
    rows = re.findall(
        r"^\| \[(\w+)\]\(#\w+\) \| (.*) \|$", await postgres.page(schema_only.postgres), re.MULTILINE
    )
    assert {"events", "postings", "payments_per_day"} <= {name for name, _ in rows}
    assert [name for name, meaning in rows if not meaning] == []
