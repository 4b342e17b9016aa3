"""Databases of a test's own, those with the schema copied from a template.

The server keeps one template for each schema version and month (an upgrade makes partitions around today).
The first test that needs it builds it under an advisory lock, which checkouts that share a server share too.
Nothing may connect to a template, so several tests can copy it at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import asyncpg

from ledger_streams.adapters.postgres import migrations
from ledger_streams.adapters.postgres.queries import sql_folder
from ledger_streams.settings import Settings

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
JUST_FILLED = "UPDATE wallet_balances_refreshed SET refreshed_at = now()"
"""The migration that fills the view is as old as the template; a projector would refresh the view at once."""
LOCK = "hashtextextended('ledger-streams test templates', 0)"


@asynccontextmanager
async def own_database(
    stack: Settings, name: str, *, migrated: bool = True, copied_from: str = ""
) -> AsyncIterator[str]:
    """The DSN of a database with the schema, empty, or a copy of another; dropped afterwards."""
    async with _connected(stack.postgres) as server:
        template = copied_from or (await _template(server, stack) if migrated else "template1")
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    if migrated and not copied_from:
        async with _connected(database(stack, name)) as copy:
            await copy.execute(JUST_FILLED)
    yield database(stack, name)
    async with _connected(stack.postgres) as server:  # a test may have killed the server meanwhile
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def database(stack: Settings, name: str) -> str:
    """Return the DSN of another database on the stack's server."""
    return f"{stack.postgres.rpartition('/')[0]}/{name}"


async def _template(server: Connection, stack: Settings) -> str:
    """Return the name of the template with today's schema, built if the server has none."""
    name = _template_name()
    if not await _exists(server, name):
        await server.execute(f"SELECT pg_advisory_lock({LOCK})")
        try:
            if not await _exists(server, name):
                await _build(server, stack, name)
        finally:
            await server.execute(f"SELECT pg_advisory_unlock({LOCK})")
    return name


async def _build(server: Connection, stack: Settings, name: str) -> None:
    """Build it under another name and rename it: a template that exists is complete."""
    draft = f"{name}_draft"
    await server.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
    await server.execute(f'CREATE DATABASE "{draft}"')
    await migrations.upgrade(database(stack, draft))
    await server.execute(f'ALTER DATABASE "{draft}" ALLOW_CONNECTIONS false')
    await server.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')


def _template_name() -> str:
    """Return a name that changes with the SQL of the schema, the code that applies it, and the month."""
    digest = hashlib.sha256(datetime.now(UTC).strftime("%Y-%m").encode())
    digest.update((sql_folder() / "migrations.sql").read_bytes())
    digest.update(Path(migrations.__file__).read_bytes())
    for step in migrations.migrations():
        digest.update(f"{step.name} {step.checksum}".encode())
    return f"template_{digest.hexdigest()[:16]}"


async def _exists(server: Connection, name: str) -> bool:
    return bool(await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name))


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
