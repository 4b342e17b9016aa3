"""The read model of PostgreSQL and its twin in memory, each fed with the batches of a projector."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from ledger_streams.adapters.postgres.pool import create_pool
from ledger_streams.adapters.postgres.read_model import PostgresReadModel
from ledger_streams.adapters.postgres.rows import SinkBatch
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.ports import ReadModel
from ledger_streams.settings import Settings
from ledger_streams.testing.memory_read_model import MemoryReadModel


@dataclass
class Projections:
    read: ReadModel
    write: Callable[[SinkBatch], Awaitable[None]]


@pytest.fixture(params=["memory", "postgres"])
def database(request: pytest.FixtureRequest) -> Settings | None:
    """The database to ask, or None for the memory."""
    if request.param == "memory":
        return None
    settings: Settings = request.getfixturevalue("schema_only")
    return settings


@pytest.fixture
async def projections(database: Settings | None) -> AsyncIterator[Projections]:
    if database is None:
        memory = MemoryReadModel()
        yield Projections(memory, memory.write)
    else:
        async with await create_pool(database.postgres) as pool:
            yield Projections(PostgresReadModel(pool), PostgresSink(pool).write)
