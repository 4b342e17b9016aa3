"""`python -m tests.fsync`: PostgreSQL of the tests' stack writes to disk at each commit again.

The quick tests switch that off: their databases do not outlive a test, and with it DROP DATABASE takes 1 s.
Benchmarks measure with it.  A server that a fault test kills is its own, and keeps it.
"""

from __future__ import annotations

import asyncio

import asyncpg

from ledger_streams.settings import Settings


async def without_fsync(stack: Settings) -> None:
    """Let the server write to disk when it likes, until `with_fsync`."""
    await _alter(stack, "SET fsync = off")


async def with_fsync(stack: Settings) -> None:
    """Let the server write to disk at each commit."""
    await _alter(stack, "RESET fsync")


async def _alter(stack: Settings, change: str) -> None:
    connection = await asyncpg.connect(stack.postgres)
    try:
        await connection.execute(f"ALTER SYSTEM {change}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


if __name__ == "__main__":
    from tests.conftest import stack_settings

    asyncio.run(with_fsync(stack_settings()))
