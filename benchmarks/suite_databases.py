"""Cases on a database of their own in the stack's PostgreSQL."""

from __future__ import annotations

from typing import Final

from benchmarks.analytics import AnalyticsTiming, analytics
from benchmarks.archive import Months, archive
from benchmarks.balances import RefreshTiming, balances
from benchmarks.case import PAYMENTS, Case, CaseRun, Option
from benchmarks.charts import Bars
from benchmarks.double_entry_cost import CheckCost, double_entry_cost
from benchmarks.gin import InsertTiming, gin
from benchmarks.pgbouncer_overhead import WriteTiming, pgbouncer_overhead
from benchmarks.sink import AuditTiming, SinkTiming, sink, time_audit
from benchmarks.wallet import HistoryTiming, wallet_history

EVENTS: Final = Option("events", 1_000_000, "rows of history")


async def _sink(given: CaseRun) -> SinkTiming:
    return await sink(given.settings, payments=given.options.payments)


async def _legs(given: CaseRun) -> dict[str, CheckCost]:
    return await double_entry_cost(given.settings, payments=given.options.payments)


async def _audit(given: CaseRun) -> AuditTiming:
    async with given.live() as live:
        return await time_audit(live.settings, payments=given.options.payments)


async def _bounced(given: CaseRun) -> dict[str, WriteTiming]:
    async with given.live() as live:
        return await pgbouncer_overhead(live.settings, payments=given.options.payments)


async def _archive(given: CaseRun) -> Months:
    return await archive(given.settings, payments=given.options.payments)


async def _wallet(given: CaseRun) -> HistoryTiming:
    return await wallet_history(given.settings, events=given.options.events)


async def _analytics(given: CaseRun) -> AnalyticsTiming:
    return await analytics(given.settings, events=given.options.events)


async def _balances(given: CaseRun) -> RefreshTiming:
    return await balances(given.settings, events=given.options.events)


async def _gin(given: CaseRun) -> dict[str, InsertTiming]:
    return await gin(given.settings, events=given.options.events)


DATABASE_CASES: Final = (
    Case(
        "sink",
        "payments written by the projector's sink, without Kafka",
        _sink,
        Bars("payments/s", ("payments_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "legs",
        "the sink with and without PostgreSQL's check of double entry, in turn",
        _legs,
        Bars("payments/s", ("*.payments_per_s",)),
        (PAYMENTS,),
        small=("--payments", "10000"),
    ),
    Case(
        "audit",
        "closing and verifying a day of the sink's payments",
        _audit,
        Bars("rows/s", ("rows_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "bounced",
        "the sink directly and through PgBouncer, in turn",
        _bounced,
        Bars("payments/s", ("*.payments_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "archive",
        "archiving, verifying and attaching a month of events",
        _archive,
        Bars("rows/s", ("steps.*.rows_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "wallet",
        "past balances and statement of a wallet with a long history",
        _wallet,
        Bars("ms", ("asked.*.ms",)),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "analytics",
        "the analysts' views and the SQL of tests/owners_sql.sql over a history",
        _analytics,
        Bars("ms", ("asked.*.ms",)),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "balances",
        "refreshing wallet_balances over a history, alone and beside the sink",
        _balances,
        Bars("ms for a batch of the sink", ("batch_alone_ms", "batch_beside_ms")),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "gin",
        "inserting events with each kind of GIN index, in turn",
        _gin,
        Bars("rows/s", ("*.median.rows_per_s",), "operators", "*.rounds.rows_per_s"),
        (EVENTS,),
        small=("--events", "100000"),
    ),
)
