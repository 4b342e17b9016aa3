"""Cases of a worker's tables: memory, restore, takeover, and cost of growth."""

from __future__ import annotations

from typing import Final

from benchmarks.case import NO_STANDBY, Case, CaseRun, Option
from benchmarks.charts import Bars
from benchmarks.growth import GrowthCost, growth
from benchmarks.memory import MemoryUse, memory_use
from benchmarks.rebuild import RebuildTiming, fill, rebuild
from benchmarks.takeover import TakeoverTiming, take_over

TAKEOVER_RATE_PER_S: Final = 200


async def _rebuild(given: CaseRun) -> RebuildTiming:
    async with given.live() as live:
        return await rebuild(live, wallets=given.options.wallets)


async def _takeover(given: CaseRun) -> TakeoverTiming:
    wallets = given.options.wallets
    async with given.live() as live:
        await fill(live, wallets, payments=wallets)
        return await take_over(live, rate_per_s=TAKEOVER_RATE_PER_S)


async def _memory(given: CaseRun) -> MemoryUse:
    async with given.live() as live:
        return await memory_use(live, wallets=given.options.wallets, payments=given.options.payments)


async def _growth(given: CaseRun) -> dict[str, list[GrowthCost]]:
    of = given.options
    sizes = {"commands": of.commands, "payments": of.payments, "events": of.events}
    return await growth(given.settings, wallets=of.wallets, **sizes)


TABLE_CASES: Final = (
    Case(
        "rebuild",
        "a worker with an empty data folder restores its wallets from Kafka",
        _rebuild,
        Bars("records/s", ("records_per_s",)),
        (Option("wallets", 1_000_000, "number of wallets"),),
        small=("--wallets", "300000"),
    ),
    Case(
        "takeover",
        "time to recover after one of two workers is killed",
        _takeover,
        Bars("s", ("phases_s.*", "ready_s", "first_commit_s", "first_end_s")),
        (Option("wallets", 1_000_000, "number of wallets in the tables, and of payments"), NO_STANDBY),
        small=("--wallets", "50000"),
    ),
    Case(
        "memory",
        "memory of a worker with large tables",
        _memory,
        Bars("MB", ("*.rss_mb",)),
        (
            Option("wallets", 1_000_000, "number of wallets in the tables"),
            Option("payments", 50_000, "number of payments of the load"),
        ),
    ),
    Case(
        "growth",
        "cost of a command or payment as tables and history grow",
        _growth,
        Bars("cost at the largest size to the smallest's", ("*.-1.cost_to_smallest",)),
        (
            Option("wallets", (10_000, 100_000, 1_000_000), "numbers of wallets, the largest last"),
            Option("commands", 100_000, "number of commands over the wallets"),
            Option("payments", 20_000, "number of payments; also ten times as many"),
            Option("events", 100_000, "number of events in PostgreSQL; also ten times as many"),
        ),
        small=(
            "--wallets",
            "10000",
            "1000000",
            "--commands",
            "30000",
            "--payments",
            "3000",
            "--events",
            "20000",
        ),
    ),
)
