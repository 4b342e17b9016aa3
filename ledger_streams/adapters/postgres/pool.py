"""The connection pool, and which of PostgreSQL's errors mean that it is away.

No state is kept in a session: no SET, no session lock, and no statement by name behind
a pooler such as PgBouncer in transaction mode, where the next transaction may be another
server's.  Whether there is one is found out when the pool is made.  A connection that says
nothing is no error to the driver, so who borrows one says within which time it is given up.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ledger_streams import metrics
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable

# Text, because asyncpg's classes take type arguments in its stubs only.
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

ACQUIRE_S_MAX: Final = 5.0
"""A caller that gets no connection within this is told `Unavailable`."""

PROBE_S_MAX: Final = 2.0
"""Who asks whether a process is ready does not wait for long, and asks again soon."""
READ_S_MAX: Final = 5.0
"""Somebody waits for the answer: what PostgreSQL has not said by then is `Unavailable`."""
WRITE_S_MAX: Final = 30.0
"""Far longer than the largest batch takes on a busy machine; what is silent for so long is given up."""

WRITER_SESSION: Final = MappingProxyType(
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
STATEMENTS_MAX: Final = 200
"""Prepared statements of one connection; the system has fewer than a hundred."""

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
def translate_connection_errors() -> Iterator[None]:
    """Raise `Unavailable` for what says that PostgreSQL is away; let programmers' errors pass."""
    try:
        yield
    except ssl.SSLError as error:
        detail = f"TLS failed ({error}): check sslmode and sslrootcert in LEDGER_POSTGRES"
        raise Unavailable(dependency="postgres", detail=detail) from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        detail = f"it refuses this client ({error}): check user, password and sslmode in LEDGER_POSTGRES"
        raise Unavailable(dependency="postgres", detail=detail) from error
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
    session: Mapping[str, str] = MappingProxyType({}),
) -> Pool:
    """Connect to PostgreSQL; a statement that takes longer than `statement_timeout_s` is cancelled.

    `session` are PostgreSQL's own settings of each connection, `WRITER_SESSION` for example; a pooler
    shares its connections among all, and has settings of its own.
    """
    async with open_connection(dsn) as connection:
        is_pooled = await is_behind_pooler(connection)
    with translate_connection_errors():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections_max,
            timeout=ACQUIRE_S_MAX,
            command_timeout=statement_timeout_s,
            statement_cache_size=0 if is_pooled else STATEMENTS_MAX,
            server_settings={} if is_pooled else dict(session),
            reset=_keep_session,
        )
    for other in [other for other in _queues if other.is_closing()]:
        del _queues[other]
    _queues[pool] = asyncio.Semaphore(connections_max)
    return pool


@asynccontextmanager
async def open_pool(
    dsn: str, *, connections_max: int = 10, statement_timeout_s: float = 30.0
) -> AsyncIterator[Pool]:
    """Connect for the time of a block, and close within a bounded time."""
    pool = await create_pool(dsn, connections_max=connections_max, statement_timeout_s=statement_timeout_s)
    try:
        yield pool
    finally:
        await close_within("postgres", pool.close())


async def is_behind_pooler(connection: Connection) -> bool:
    """Tell whether a pooler lends the server: the one that answers is not the one that said hello."""
    return bool(connection.get_server_pid() != await connection.fetchval("SELECT pg_backend_pid()"))


@asynccontextmanager
async def acquire_connection(pool: Pool, *, within_s: float = math.inf) -> AsyncIterator[Connection]:
    """Borrow a connection; anything that says PostgreSQL is away comes out as `Unavailable`.

    So does a connection that is not given back `within_s` of the call: it is cut off, since a
    cancellation, a rollback and a reset would each wait for the silent server again.
    """
    loop = asyncio.get_running_loop()
    is_over_at = loop.time() + within_s
    with translate_connection_errors(), ExitStack() as watched:
        line = _queues.setdefault(pool, asyncio.Semaphore(pool.get_max_size()))
        connection = await _acquire(pool, line, min(ACQUIRE_S_MAX, within_s))
        watched.callback(line.release)
        if within_s < math.inf:
            watched.callback(loop.call_at(is_over_at, _terminate, connection).cancel)
        try:
            yield connection
        except asyncpg.InternalClientError:
            connection.terminate()  # its state is unknown: it is not lent again
            raise
        finally:
            await pool.release(connection)


async def _acquire(
    pool: Pool, line: asyncio.Semaphore, seconds: float
) -> PoolConnectionProxy[asyncpg.Record]:
    """Wait in line, then for a connection; the caller gives the place in the line back."""
    metrics.POSTGRES_WAITING.inc()
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            await line.acquire()
            try:
                connection = await pool.acquire()
            except BaseException:  # a caller that is cancelled gives its place back, too
                line.release()
                raise
    except TimeoutError:
        metrics.POSTGRES_ACQUIRES_FAILED.inc()
        raise
    finally:
        metrics.POSTGRES_WAITING.dec()
    metrics.POSTGRES_ACQUIRE_SECONDS.observe(time.perf_counter() - began_s)
    return connection


async def _keep_session(_connection: object) -> None:
    """Spare the round trip that would reset a session in which nothing was kept."""


_queues: dict[Pool, asyncio.Semaphore] = {}
"""Of each pool those who wait: the driver lets late comers pass them, and in a crowd some wait for long."""


def _count_connections(state: str) -> int:
    """Count the connections of this process's pools: `idle`, `used`, or `limit`, what there may be."""
    counts = {
        "idle": lambda pool: pool.get_idle_size(),
        "used": lambda pool: pool.get_size() - pool.get_idle_size(),
        "limit": lambda pool: pool.get_max_size(),
    }
    return sum(counts[state](pool) for pool in _queues if not pool.is_closing())


for _state in ("idle", "used", "limit"):
    metrics.POSTGRES_CONNECTIONS.labels(_state).set_function(partial(_count_connections, _state))


def _terminate(connection: Connection) -> None:
    """End a connection, unless it is on its way back to the pool, which limits that time by itself."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


@asynccontextmanager
async def open_connection(dsn: str) -> AsyncIterator[Connection]:
    """Open one connection for a command, and close it."""
    with translate_connection_errors():
        connection = await asyncpg.connect(dsn, timeout=ACQUIRE_S_MAX, statement_cache_size=0)
        try:
            yield connection
        finally:
            await close_within("the connection to PostgreSQL", connection.close())
