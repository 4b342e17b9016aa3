"""Write all reference pages: `make reference`.  The tests' stack has to be up."""

from __future__ import annotations

import asyncio
import uuid

from tests.conftest import stack_settings
from tests.databases import own_database
from tests.reference import postgres
from tests.reference.pages import FOLDER, PAGES


async def schema() -> str:
    """Return the page of the schema, read from a migrated database that is dropped again."""
    async with own_database(stack_settings(), f"reference_{uuid.uuid4().hex[:12]}") as dsn:
        return await postgres.page(dsn)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    texts = {name: page() for name, page in PAGES.items()} | {"postgres": asyncio.run(schema())}
    for name, text in texts.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}.md: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
