"""The connection pool, and the errors that mean PostgreSQL is unavailable.

Sessions keep no state: no SET, no session lock, and no named statement behind a pooler such as
PgBouncer in transaction mode, where the next transaction may run on another server connection.  The
pool detects a pooler when it is made.  The driver reports no error for a silent connection, so each
borrower sets the time after which the connection is terminated.
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
"""Wait for a connection; after it the caller gets `Unavailable`."""

PROBE_S_MAX: Final = 2.0
"""Time limit of a readiness probe, which is repeated soon."""
READ_S_MAX: Final = 5.0
"""Time limit of a read for an HTTP caller; after it the read is `Unavailable`."""
WRITE_S_MAX: Final = 30.0
"""Time limit of a write, far above the largest batch on a busy machine; then the connection is terminated."""

WRITER_SESSION: Final = MappingProxyType(
    {
        "idle_in_transaction_session_timeout": "10s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": "15s",
    }
)
"""Session settings of a writer: the server releases the locks of a lost or paused writer within 15 s, so
its successor does not wait for TCP's two hours."""
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
    """Turn connection errors into `Unavailable`; programmers' errors pass unchanged."""
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
    """Open a pool for one block and close it within a bounded time."""
    pool = await create_pool(dsn, connections_max=connections_max, statement_timeout_s=statement_timeout_s)
    try:
        yield pool
    finally:
        await close_within("postgres", pool.close())


async def is_behind_pooler(connection: Connection) -> bool:
    """Tell whether a pooler is in between: the backend's pid differs from the one of the handshake."""
    return bool(connection.get_server_pid() != await connection.fetchval("SELECT pg_backend_pid()"))


@asynccontextmanager
async def acquire_connection(pool: Pool, *, within_s: float = math.inf) -> AsyncIterator[Connection]:
    """Borrow a connection; connection errors are raised as `Unavailable`.

    A connection that is not returned `within_s` of the call is terminated, which is `Unavailable` too:
    a cancellation, a rollback and a reset would each wait for the silent server again.
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
    """Wait in the queue, then for a connection; the caller releases the place in the queue."""
    metrics.POSTGRES_WAITING.inc()
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            await line.acquire()
            try:
                connection = await pool.acquire()
            except BaseException:  # a cancelled caller releases its place too
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
    """Skip the reset of a session, which keeps no state, to save its round trip."""


_queues: dict[Pool, asyncio.Semaphore] = {}
"""Queue of each pool, first come first served; the driver alone lets late callers overtake."""


def _count_connections(state: str) -> int:
    """Count the connections of this process's pools: `idle`, `used`, or `limit` (the maximum)."""
    counts = {
        "idle": lambda pool: pool.get_idle_size(),
        "used": lambda pool: pool.get_size() - pool.get_idle_size(),
        "limit": lambda pool: pool.get_max_size(),
    }
    return sum(counts[state](pool) for pool in _queues if not pool.is_closing())


for _state in ("idle", "used", "limit"):
    metrics.POSTGRES_CONNECTIONS.labels(_state).set_function(partial(_count_connections, _state))


def _terminate(connection: Connection) -> None:
    """Terminate a connection unless it is being returned to the pool, which bounds that by itself."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


@asynccontextmanager
async def open_connection(dsn: str) -> AsyncIterator[Connection]:
    """Open one connection for one block and close it."""
    with translate_connection_errors():
        connection = await asyncpg.connect(dsn, timeout=ACQUIRE_S_MAX, statement_cache_size=0)
        try:
            yield connection
        finally:
            await close_within("the connection to PostgreSQL", connection.close())
