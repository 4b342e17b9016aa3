"""The cases of the benchmarks, in the order in which all are run; one more is one more entry here.

Those of a system have one of their own on the tests' stack (`Given.live`); those of a
database make one on the stack's PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.bench.analytics import Analyzed, analytics
from tests.bench.archive import Months, archive
from tests.bench.backlog import Backlogs, in_turn
from tests.bench.balances import Refreshed, balances
from tests.bench.bounced import Bounced, bounced
from tests.bench.case import Case, Given, Option
from tests.bench.charts import Bars, Lines
from tests.bench.contenders import CONTENDERS
from tests.bench.gin import Inserted, gin
from tests.bench.legs import Checked, legs
from tests.bench.load import Timing, at_rates, http_at_rates
from tests.bench.rebuild import Rebuilt, fill, rebuild
from tests.bench.sink import Audited, Written, audited, sink
from tests.bench.takeover import Recovered, take_over
from tests.bench.wallet import Travelled, travel
from tests.bench.wallets import Compared, compare

PAYMENTS: Final = Option("payments", 20_000, "how many")
EVENTS: Final = Option("events", 1_000_000, "rows of history")
WORKERS: Final = Option("workers", 1, "how many")
ROUNDS: Final = Option("rounds", 3, "turns of each")
NO_STANDBY: Final = Option("no-standby", False, "LEDGER_STANDBY=0")
TAKEOVER_RATE_PER_S: Final = 200
OVER_LOAD: Final = Lines(
    "*.payments_per_s", "payments/s", ("*.p50_ms", "*.p90_ms", "*.p99_ms"), "ms until a payment has ended"
)


async def _wallets(given: Given) -> Compared:
    of = given.options
    sizes = {"commands": of.commands, "wallets": of.wallets, "rounds": of.rounds}
    return await compare(given.settings, names=of.contenders, **sizes)


async def _backlog(given: Given) -> Backlogs:
    of = given.options
    return await in_turn(given.live, workers=of.workers, payments=of.payments, rounds=of.rounds)


async def _worker(given: Given, *, with_projector: bool = False) -> dict[str, Timing]:
    of = given.options
    sizes = {"payments": of.payments, "rates_per_s": of.rates, "workers": of.workers}
    async with given.live() as live:
        return await at_rates(live, with_projector=with_projector, **sizes)


async def _projector(given: Given) -> dict[str, Timing]:
    return await _worker(given, with_projector=True)


async def _http_rate(given: Given) -> dict[str, Timing]:
    of = given.options
    async with given.live() as live:
        return await http_at_rates(live, payments=of.payments, rates_per_s=of.rates, workers=of.workers)


async def _rebuild(given: Given) -> Rebuilt:
    async with given.live() as live:
        return await rebuild(live, wallets=given.options.wallets)


async def _takeover(given: Given) -> Recovered:
    wallets = given.options.wallets
    async with given.live() as live:
        await fill(live, wallets, payments=wallets)
        return await take_over(live, rate_per_s=TAKEOVER_RATE_PER_S)


async def _audit(given: Given) -> Audited:
    async with given.live() as live:
        return await audited(live.settings, payments=given.options.payments)


async def _bounced(given: Given) -> dict[str, Bounced]:
    async with given.live() as live:
        return await bounced(live.settings, payments=given.options.payments)


async def _sink(given: Given) -> Written:
    return await sink(given.settings, payments=given.options.payments)


async def _legs(given: Given) -> dict[str, Checked]:
    return await legs(given.settings, payments=given.options.payments)


async def _archive(given: Given) -> Months:
    return await archive(given.settings, payments=given.options.payments)


async def _wallet(given: Given) -> Travelled:
    return await travel(given.settings, events=given.options.events)


async def _analytics(given: Given) -> Analyzed:
    return await analytics(given.settings, events=given.options.events)


async def _balances(given: Given) -> Refreshed:
    return await balances(given.settings, events=given.options.events)


async def _gin(given: Given) -> dict[str, Inserted]:
    return await gin(given.settings, events=given.options.events)


_OF_SYSTEMS: Final = (
    Case(
        "wallets",
        "commands through the wallets agent alone, and through its peers, in turn",
        _wallets,
        Bars("commands/s", ("contenders.*.median_per_s",), "contender", "contenders.*.commands_per_s"),
        (
            Option("commands", 100_000, "how many"),
            Option("wallets", 10_000, "that the commands are spread over"),
            ROUNDS,
            Option("contenders", tuple(CONTENDERS), "who takes part", choices=tuple(CONTENDERS)),
        ),
        small=("--commands", "30000"),
    ),
    Case(
        "backlog",
        "transfers that wait in Kafka, carried out by workers alone",
        _backlog,
        Bars("payments/s", ("by_workers.*.payments_per_s",), "workers", "by_workers.*.rounds.payments_per_s"),
        (PAYMENTS, Option("workers", (1,), "how many; several numbers take turns"), ROUNDS, NO_STANDBY),
        small=("--workers", "1", "2"),
    ),
    Case(
        "worker",
        "transfers over Kafka, no projector",
        _worker,
        OVER_LOAD,
        (PAYMENTS, Option("rates", (0.0,), "payments a second; 0: saturation"), WORKERS, NO_STANDBY),
        small=("--payments", "3000", "--rates", "200", "0"),
    ),
    Case(
        "projector",
        "the same with a projector beside it",
        _projector,
        OVER_LOAD,
        (PAYMENTS, Option("rates", (0.0,), "payments a second; 0: saturation"), WORKERS, NO_STANDBY),
        small=("--payments", "3000", "--rates", "200", "0"),
    ),
    Case(
        "http-rate",
        "POST /v1/payments?wait at a steady rate",
        _http_rate,
        OVER_LOAD,
        (
            Option("payments", 500, "how many"),
            Option("rates", (50.0,), "payments a second"),
            WORKERS,
            NO_STANDBY,
        ),
        small=("--rates", "25", "50", "100"),
    ),
    Case(
        "rebuild",
        "a worker with an empty folder reads its wallets back from Kafka",
        _rebuild,
        Bars("records/s", ("records_per_s",)),
        (Option("wallets", 1_000_000, "how many"),),
        small=("--wallets", "300000"),
    ),
    Case(
        "takeover",
        "one of two workers is killed",
        _takeover,
        Bars("s", ("phases_s.*", "ready_s", "first_commit_s", "first_end_s")),
        (Option("wallets", 1_000_000, "in its tables, and as many payments"), NO_STANDBY),
        small=("--wallets", "50000"),
    ),
)
_OF_DATABASES: Final = (
    Case(
        "sink",
        "payments written by the projector's sink alone, without Kafka",
        _sink,
        Bars("payments/s", ("payments_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "legs",
        "the same with and without PostgreSQL's check of double entry, in turn",
        _legs,
        Bars("payments/s", ("*.payments_per_s",)),
        (PAYMENTS,),
        small=("--payments", "10000"),
    ),
    Case(
        "audit",
        "the same, then its day is closed and all of it verified",
        _audit,
        Bars("rows/s", ("rows_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "bounced",
        "the same, directly and through PgBouncer, in turn",
        _bounced,
        Bars("payments/s", ("*.payments_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "archive",
        "their events archived, verified and attached again",
        _archive,
        Bars("rows/s", ("steps.*.rows_per_s",)),
        (PAYMENTS,),
    ),
    Case(
        "wallet",
        "the past of one wallet",
        _wallet,
        Bars("ms", ("asked.*.ms",)),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "analytics",
        "the analysts' views and the owner's SQL over a history",
        _analytics,
        Bars("ms", ("asked.*.ms",)),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "balances",
        "refreshing wallet_balances over such a history, also beside the sink",
        _balances,
        Bars("ms for a batch of the sink", ("batch_alone_ms", "batch_beside_ms")),
        (EVENTS,),
        small=("--events", "200000"),
    ),
    Case(
        "gin",
        "events inserted with each kind of GIN index, in turn",
        _gin,
        Bars("rows/s", ("*.median.rows_per_s",), "operators", "*.rounds.rows_per_s"),
        (EVENTS,),
        small=("--events", "100000"),
    ),
)
CASES: Final[Mapping[str, Case]] = {case.name: case for case in (*_OF_SYSTEMS, *_OF_DATABASES)}
