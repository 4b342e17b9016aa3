"""Backlog: workers process transfers that wait in Kafka; no load generator runs meanwhile.

The clock starts when all workers are ready and stops at the last outcome on
payment-events; start and takeover are excluded.  The numbers of workers alternate, each
turn on a system of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.load import KafkaLoad, start_warm_system
from tests.live import LiveSystem, Process

POLL_S = 0.05
"""Pause between polls, so that the reader takes little of the measured CPU time."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
USER_TICKS, SYSTEM_TICKS = 11, 12
"""Indexes in /proc/PID/stat after the command name."""


class DrainTiming(msgspec.Struct):
    """Throughput of one backlog."""

    payments: int
    seconds: float
    payments_per_s: float
    worker_cpu_us: float
    """CPU time of all workers per payment."""


class Turns(msgspec.Struct):
    """All turns with one number of workers, and their medians."""

    payments_per_s: float
    worker_cpu_us: float
    rounds: list[DrainTiming]


class Backlogs(msgspec.Struct):
    """All numbers of workers, and the ratios of their medians to one worker's."""

    by_workers: dict[str, Turns]
    to_one: dict[str, float]


async def in_turn(
    system: Callable[[], AbstractAsyncContextManager[LiveSystem]],
    *,
    workers: Sequence[int],
    payments: int,
    rounds: int,
) -> Backlogs:
    """Run the backlog with each number of workers in turn."""
    drained: dict[int, list[DrainTiming]] = {count: [] for count in workers}
    for _ in range(rounds):
        for count, turns in drained.items():
            async with system() as live:
                load, wallets = await start_warm_system(live, workers=count, with_projector=False)
                turns.append(await drain(live, load, wallets, payments=payments))
    by_workers = {str(count): _medians(turns) for count, turns in drained.items()}
    one_per_s = by_workers["1"].payments_per_s if "1" in by_workers else 0.0
    others = {name: turns.payments_per_s for name, turns in by_workers.items() if name != "1"}
    to_one = {name: round(per_s / one_per_s, 2) for name, per_s in others.items() if one_per_s}
    return Backlogs(by_workers, to_one)


async def drain(live: LiveSystem, load: KafkaLoad, wallets: Sequence[str], *, payments: int) -> DrainTiming:
    """Stop the workers, send the payments, restart the workers, and wait for all outcomes."""
    workers = live.processes
    for worker in workers.values():
        worker.stop()
    async with load.outcomes() as outcomes:
        await load.send(wallets, payments, rate_per_s=0)
        for worker in workers.values():
            worker.start()
        for name in workers:
            await live.ready(name.removeprefix("worker-"))
        began_s, ended, before_s = time.perf_counter(), 0, cpu_s(workers.values())
        while ended < payments:
            await asyncio.sleep(POLL_S)
            ended += await load.poll(outcomes)
        seconds = time.perf_counter() - began_s
    used_s = cpu_s(workers.values()) - before_s
    return DrainTiming(
        payments, round(seconds, 2), round(payments / seconds, 1), round(used_s / payments * 1e6, 1)
    )


def _medians(turns: list[DrainTiming]) -> Turns:
    payments_per_s = median(each.payments_per_s for each in turns)
    worker_cpu_us = median(each.worker_cpu_us for each in turns)
    return Turns(round(payments_per_s, 1), round(worker_cpu_us, 1), turns)


def cpu_s(processes: Iterable[Process]) -> float:
    """Return the CPU time of the processes so far, in seconds."""
    stats = (Path(f"/proc/{process.pid}/stat").read_text() for process in processes)
    fields = (stat.rpartition(")")[2].split() for stat in stats)
    return sum(int(each[USER_TICKS]) + int(each[SYSTEM_TICKS]) for each in fields) * TICK_S
