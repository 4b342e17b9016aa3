"""The connection pool, and which of PostgreSQL's errors mean that it is away.

No state is kept in a session: no prepared statement by name, no SET, no session
lock.  With `statement_cache_size=0` the pool works behind PgBouncer in
transaction mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ledger_streams.errors import Unavailable

# Text, because asyncpg's classes take type arguments in its stubs only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_S_MAX: Final = 5.0
"""A caller that gets no connection within this is told `Unavailable`."""

AWAY: Final = (
    OSError,  # TimeoutError is one of them
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, restart, cancelled by its statement timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.TransactionRollbackError,  # deadlock, serialization: the same again may work
    asyncpg.ReadOnlySQLTransactionError,  # a replica, in the middle of a failover
    asyncpg.InvalidCatalogNameError,  # the database is not made yet
    asyncpg.InternalClientError,  # the client met a connection whose end it has half seen
)


@contextmanager
def away_as_unavailable() -> Iterator[None]:
    """Raise `Unavailable` for what says that PostgreSQL is away; let programmers' errors pass."""
    try:
        yield
    except AWAY as error:
        raise Unavailable(dependency="postgres", detail=f"{type(error).__name__}: {error}") from error
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError):  # asyncpg.DataError: a wrong argument, not a lost connection
            raise
        raise Unavailable(dependency="postgres", detail=str(error)) from error


async def create_pool(
    dsn: str,
    *,
    connections_min: int = 1,
    connections_max: int = 10,
    statement_timeout_s: float = 30.0,
    statement_cache_size: int = 200,
) -> Pool:
    """Connect to PostgreSQL; a statement that takes longer than `statement_timeout_s` is cancelled."""
    with away_as_unavailable():
        return await asyncpg.create_pool(
            dsn,
            min_size=connections_min,
            max_size=connections_max,
            timeout=ACQUIRE_S_MAX,
            command_timeout=statement_timeout_s,
            statement_cache_size=statement_cache_size,
        )


@asynccontextmanager
async def acquired(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection; anything that says PostgreSQL is away comes out as `Unavailable`."""
    with away_as_unavailable():
        async with pool.acquire(timeout=ACQUIRE_S_MAX) as connection:
            try:
                yield connection
            except asyncpg.InternalClientError:
                connection.terminate()  # its state is unknown: it is not lent again
                raise


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """Open one connection for a command, and close it."""
    with away_as_unavailable():
        connection = await asyncpg.connect(dsn, timeout=ACQUIRE_S_MAX)
        try:
            yield connection
        finally:
            await connection.close()
