"""The connection pool, and which of PostgreSQL's errors mean that it is away.

No state is kept in a session: no prepared statement by name, no SET, no session
lock.  With `statement_cache_size=0` the pool works behind PgBouncer in
transaction mode.  A connection that says nothing is no error to the driver, so who
borrows one says within which time it is given up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ledger_streams.errors import Unavailable

# Text, because asyncpg's classes take type arguments in its stubs only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_S_MAX: Final = 5.0
"""A caller that gets no connection within this is told `Unavailable`."""

READ_S_MAX: Final = 5.0
"""Somebody waits for the answer: what PostgreSQL has not said by then is `Unavailable`."""
WRITE_S_MAX: Final = 30.0
"""Far longer than the largest batch takes on a busy machine; what is silent for so long is given up."""

LETS_GO: Final = MappingProxyType(
    {
        "idle_in_transaction_session_timeout": "10s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": "15s",
    }
)
"""Session settings of a writer: when it is gone or paused in mid-transaction, its locks are free 15 s
later at most, and whoever takes over does not wait for TCP's two hours."""

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
    connections_max: int = 10,
    statement_timeout_s: float = 30.0,
    statement_cache_size: int = 200,
    session: Mapping[str, str] = MappingProxyType({}),
) -> Pool:
    """Connect to PostgreSQL; a statement that takes longer than `statement_timeout_s` is cancelled.

    `session` are PostgreSQL's own settings of each connection, `LETS_GO` for example.
    """
    with away_as_unavailable():
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections_max,
            timeout=ACQUIRE_S_MAX,
            command_timeout=statement_timeout_s,
            statement_cache_size=statement_cache_size,
            server_settings=dict(session),
        )


@asynccontextmanager
async def acquired(pool: Pool, *, within_s: float = math.inf) -> AsyncIterator[Connection]:
    """Borrow a connection; anything that says PostgreSQL is away comes out as `Unavailable`.

    So does a connection that is not given back `within_s` of the call: it is cut off, since a
    cancellation, a rollback and a reset would each wait for the silent server again.
    """
    loop = asyncio.get_running_loop()
    is_over_at = loop.time() + within_s
    with away_as_unavailable(), ExitStack() as watched:
        async with pool.acquire(timeout=min(ACQUIRE_S_MAX, within_s)) as connection:
            if within_s < math.inf:
                watched.callback(loop.call_at(is_over_at, _cut_off, connection).cancel)
            try:
                yield connection
            except asyncpg.InternalClientError:
                connection.terminate()  # its state is unknown: it is not lent again
                raise


def _cut_off(connection: Connection) -> None:
    """End a connection, unless it is on its way back to the pool, which limits that time by itself."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """Open one connection for a command, and close it."""
    with away_as_unavailable():
        connection = await asyncpg.connect(dsn, timeout=ACQUIRE_S_MAX)
        try:
            yield connection
        finally:
            await connection.close()
