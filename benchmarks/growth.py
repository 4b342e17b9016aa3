"""Growth: cost of a command or a payment as the number of wallets, payments or events grows.

Wallets: commands through the wallets agent alone.  History: payments of a worker whose
tables contain earlier payments, and batches written to a PostgreSQL that contains earlier
events.  Backlog: payments that wait for a worker.  Each figure has its ratio to the
smallest size; a ratio of 1 is a cost that does not grow.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from benchmarks.backlog import drain
from benchmarks.contenders import OURS
from benchmarks.history import STATEMENT_S_MAX, migrated_database
from benchmarks.history import fill as rows
from benchmarks.load import KafkaLoad, wallet_ids
from benchmarks.rebuild import fill
from benchmarks.sink import batches, write_all
from benchmarks.wallets import compare
from ledger_streams.settings import Settings
from tests.live import LiveSystem, running
from tests.own_system import own_system
from tests.projected import Story

WALLETS: Final = 2_000
READY_S_MAX: Final = 900.0
TENFOLD: Final = 10


class GrowthCost(msgspec.Struct):
    """The figures at one size."""

    size: int
    per_s: float
    cpu_us: float | None = None
    """CPU time of the worker per command or payment."""
    cost_to_smallest: float = 1.0
    """Ratio of the worker's CPU time (elapsed time if there is none) to the smallest size's."""


async def growth(
    stack: Settings,
    *,
    wallets: Sequence[int] = (10_000, 100_000, 1_000_000),
    commands: int = 100_000,
    payments: int = 20_000,
    events: int = 100_000,
) -> dict[str, list[GrowthCost]]:
    """Measure every kind of growth; payments and events also with ten times the number."""
    return {
        "wallets": await of_wallets(stack, wallets, commands=commands),
        "history of a worker": await of_history(stack, (payments, TENFOLD * payments), payments=payments),
        "history of PostgreSQL": await of_rows(stack, (events, TENFOLD * events), payments=payments),
        "backlog": await of_backlog(stack, (payments, TENFOLD * payments)),
    }


async def of_wallets(stack: Settings, sizes: Sequence[int], *, commands: int) -> list[GrowthCost]:
    """Process commands over each number of wallets."""
    grown = []
    for size in sizes:
        compared = await compare(stack, commands=commands, wallets=size, rounds=1, names=(OURS.name,))
        pace = compared.contenders[OURS.name]
        assert pace.error is None, pace.error
        grown.append(GrowthCost(size, pace.commands_per_s[0], pace.cpu_us[0]))
    return compared_to_smallest(grown)


async def of_history(stack: Settings, sizes: Sequence[int], *, payments: int) -> list[GrowthCost]:
    """Process payments with each number of earlier payments in the tables."""
    return compared_to_smallest([await _drained(stack, payments, known=size) for size in sizes])


async def of_backlog(stack: Settings, sizes: Sequence[int]) -> list[GrowthCost]:
    """Process a backlog of each size."""
    return compared_to_smallest([await _drained(stack, size) for size in sizes])


async def of_rows(stack: Settings, sizes: Sequence[int], *, payments: int) -> list[GrowthCost]:
    """Write transfers with the projector's sink into a database with about that many events."""
    told, grown = batches(Story(), payments), []
    for size in sizes:
        async with migrated_database(stack) as dsn:
            connection = await asyncpg.connect(dsn, command_timeout=STATEMENT_S_MAX)
            await rows(connection, events=size, wallets=WALLETS)
            await connection.close()
            written = await write_all(dsn, told)
        grown.append(GrowthCost(size, written.payments_per_s))
    return compared_to_smallest(grown)


def compared_to_smallest(grown: list[GrowthCost]) -> list[GrowthCost]:
    """Set the ratio of each figure to the first; return the list."""
    for one in grown:
        one.cost_to_smallest = round(_cost(one) / _cost(grown[0]), 2)
    return grown


def _cost(grown: GrowthCost) -> float:
    return grown.cpu_us if grown.cpu_us is not None else 1 / grown.per_s


async def _drained(stack: Settings, payments: int, *, known: int = 0) -> GrowthCost:
    async with _system(stack) as live:
        await fill(live, WALLETS, payments=known)
        live.start("worker")
        await live.ready(seconds=READY_S_MAX)
        load, wallets = KafkaLoad(live.settings), wallet_ids(WALLETS)
        await load.open_wallets(wallets)
        await load.run(wallets, payments=200, rate_per_s=50)  # all wallets are open, connections are warm
        drained = await drain(live, load, wallets, payments=payments)
    return GrowthCost(known or payments, drained.payments_per_s, drained.worker_cpu_us)


@asynccontextmanager
async def _system(stack: Settings) -> AsyncIterator[LiveSystem]:
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        async with own_system(stack, Path(folder)) as own, running(own) as live:
            yield live
