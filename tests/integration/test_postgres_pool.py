"""Connections whose other side vanished: client and server detect them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest

from ledger_streams.adapters.postgres.pool import WRITER_SESSION, acquire_connection, create_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings
from tests.projected import Story

WITHIN_S: Final = 0.5
RETURNED_S_MAX: Final = 5.0
"""The pool's own maximum time to take back a connection."""
LET_GO_S_MAX: Final = 20.0
"""10 s of `WRITER_SESSION`, and as much for a busy machine."""


@asynccontextmanager
async def silenced(dsn: str, is_silent: asyncio.Event) -> AsyncIterator[str]:
    """Yield a DSN that leads to PostgreSQL until the event is set; then all that is sent gets lost."""
    server = urlsplit(dsn)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            if not is_silent.is_set():
                writer.write(chunk)
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(pass_on(reader, ours), pass_on(theirs, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server._replace(netloc=f"ledger@127.0.0.1:{port}").geturl()


async def test_a_connection_silent_during_a_transaction_times_out(
    database_only: Settings,
) -> None:
    is_silent = asyncio.Event()
    async with (
        silenced(database_only.postgres, is_silent) as dsn,
        await create_pool(dsn, connections_max=1) as pool,
    ):
        began_s = time.monotonic()
        with pytest.raises(Unavailable):
            async with acquire_connection(pool, within_s=WITHIN_S) as connection, connection.transaction():
                is_silent.set()
                await connection.execute("SELECT 1")
        assert time.monotonic() - began_s < WITHIN_S + RETURNED_S_MAX
        is_silent.clear()
        async with acquire_connection(pool, within_s=RETURNED_S_MAX) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_writer_that_vanishes_during_a_transaction_does_not_block_its_successor(
    schema_only: Settings,
) -> None:
    async with await create_pool(schema_only.postgres) as pool:
        sink, story = PostgresSink(pool), Story()
        story.open()
        await sink.write(story.batch())
        gone = await asyncpg.connect(schema_only.postgres, server_settings=dict(WRITER_SESSION))
        await gone.execute("BEGIN; SELECT FROM projection_positions FOR UPDATE")
        story.deposit(story.open(), 1000)
        async with asyncio.timeout(LET_GO_S_MAX):
            await sink.write(story.batch())
        gone.terminate()
