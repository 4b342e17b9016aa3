"""Callers that wait for a connection of a pool, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from ledger_streams.adapters.postgres.pool import acquire_connection, create_pool
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings

CALLERS = 40
CALLS = 25


async def test_waiting_callers_are_served_in_order(stack: Settings) -> None:
    tickets, served = count(), list[int]()

    async def call_again_and_again() -> None:
        for _ in range(CALLS):
            ticket = next(tickets)
            async with acquire_connection(pool) as connection:
                served.append(ticket)
                await connection.fetchval("SELECT 1")

    async with await create_pool(stack.postgres, connections_max=2) as pool:
        await asyncio.gather(*(call_again_and_again() for _ in range(CALLERS)))
    assert len(served) == CALLERS * CALLS
    passed = [ticket - place for place, ticket in enumerate(served)]
    assert max(passed) <= 2, "a late comer was served before others"


async def test_a_caller_that_gives_up_does_not_block_the_next_one(stack: Settings) -> None:
    async with await create_pool(stack.postgres, connections_max=1) as pool:
        async with acquire_connection(pool):
            for _ in range(3):
                with pytest.raises(Unavailable):
                    async with acquire_connection(pool, within_s=0.02):
                        raise AssertionError("there is one connection, and it is lent")
        async with acquire_connection(pool, within_s=5) as connection:
            assert await connection.fetchval("SELECT 1") == 1
