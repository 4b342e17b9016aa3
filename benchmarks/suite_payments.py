"""Cases of payments and commands, each on a system of its own on the tests' stack."""

from __future__ import annotations

from typing import Final

from benchmarks.backlog import Backlogs, in_turn
from benchmarks.case import NO_STANDBY, PAYMENTS, Case, CaseRun, Option
from benchmarks.charts import Bars, Lines
from benchmarks.contenders import CONTENDERS
from benchmarks.cost import Cost, cost
from benchmarks.http_calls import CONNECTIONS, HttpTiming, http_calls
from benchmarks.load import Timing, at_rates, http_at_rates
from benchmarks.payments import PARTS, RATES_PER_S, PaymentTimings, payments
from benchmarks.wallet_distribution import DISTRIBUTIONS
from benchmarks.wallets import Comparison, compare

WALLETS: Final = Option("wallets", 2_000, "number of wallets that pay each other")
WORKERS: Final = Option("workers", 1, "number of workers")
ROUNDS: Final = Option("rounds", 3, "number of rounds of each")
OVER_LOAD: Final = Lines(
    "*.payments_per_s", "payments/s", ("*.p50_ms", "*.p90_ms", "*.p99_ms"), "ms until a payment has ended"
)
TIMES: Final = Lines(
    "paced.*.rate_per_s",
    "payments/s",
    tuple(f"paced.*.{place}_ms.{name}" for place in ("kafka", "postgres") for name in ("p50", "p99")),
    "ms since the payment was due",
)
COMPONENTS: Final = ("worker", "projector", "kafka", "postgres", "redis")
CALLS: Final = Bars("calls/s; of batches, 100 payments each", ("*.called.calls_per_s",))


async def _wallets(given: CaseRun) -> Comparison:
    of = given.options
    sizes = {"commands": of.commands, "wallets": of.wallets, "rounds": of.rounds}
    return await compare(given.settings, names=of.contenders, **sizes)


async def _backlog(given: CaseRun) -> Backlogs:
    of = given.options
    return await in_turn(given.live, workers=of.workers, payments=of.payments, rounds=of.rounds)


async def _payments(given: CaseRun) -> PaymentTimings:
    of = given.options
    sizes = {"count": of.payments, "wallets": of.wallets, "seconds": of.seconds}
    async with given.live() as live:
        return await payments(live, distributions=of.spreads, rates_per_s=of.rates, parts=of.parts, **sizes)


async def _worker(given: CaseRun, *, with_projector: bool = False) -> dict[str, Timing]:
    of = given.options
    sizes = {"payments": of.payments, "rates_per_s": of.rates, "workers": of.workers}
    async with given.live() as live:
        return await at_rates(live, with_projector=with_projector, **sizes)


async def _projector(given: CaseRun) -> dict[str, Timing]:
    return await _worker(given, with_projector=True)


async def _http(given: CaseRun) -> dict[str, HttpTiming]:
    of = given.options
    sizes = {"wallets": of.wallets, "connections": of.connections, "seconds": of.seconds}
    async with given.live() as live:
        return await http_calls(live, rate_per_s=of.rate, **sizes)


async def _http_rate(given: CaseRun) -> dict[str, Timing]:
    of = given.options
    async with given.live() as live:
        return await http_at_rates(live, payments=of.payments, rates_per_s=of.rates, workers=of.workers)


async def _cost(given: CaseRun) -> Cost:
    async with given.live() as live:
        return await cost(live, payments=given.options.payments, wallets=given.options.wallets)


PAYMENT_CASES: Final = (
    Case(
        "wallets",
        "commands through the wallets agent alone and through its peers, in turn",
        _wallets,
        Bars("commands/s", ("contenders.*.median_per_s",), "contender", "contenders.*.commands_per_s"),
        (
            Option("commands", 100_000, "number of commands"),
            Option("wallets", 10_000, "number of wallets that the commands are for"),
            ROUNDS,
            Option("contenders", tuple(CONTENDERS), "contenders to run", choices=tuple(CONTENDERS)),
        ),
        small=("--commands", "30000", "--rounds", "2"),
    ),
    Case(
        "backlog",
        "a backlog of transfers in Kafka, processed by workers alone",
        _backlog,
        Bars("payments/s", ("by_workers.*.payments_per_s",), "workers", "by_workers.*.rounds.payments_per_s"),
        (
            PAYMENTS,
            Option("workers", (1,), "number of workers; several numbers alternate"),
            ROUNDS,
            NO_STANDBY,
        ),
        small=("--workers", "1", "2", "--rounds", "2"),
    ),
    Case(
        "payments",
        "transfers until PostgreSQL shows them, at saturation and at given rates",
        _payments,
        TIMES,
        (
            PAYMENTS,
            WALLETS,
            Option(
                "spreads",
                tuple(DISTRIBUTIONS),
                "distributions of transfers over wallets, uniform first",
                choices=tuple(DISTRIBUTIONS),
            ),
            Option("rates", RATES_PER_S, "payments per second"),
            Option("parts", PARTS, "further rates, as parts of the saturation"),
            Option("seconds", 30.0, "duration at each rate"),
        ),
        small=("--payments", "10000", "--parts", "0.5", "--seconds", "10"),
    ),
    Case(
        "worker",
        "transfers over Kafka, no projector",
        _worker,
        OVER_LOAD,
        (PAYMENTS, Option("rates", (0.0,), "payments per second; 0: saturation"), WORKERS, NO_STANDBY),
        small=("--payments", "3000", "--rates", "200", "0"),
    ),
    Case(
        "projector",
        "transfers over Kafka, with a projector",
        _projector,
        OVER_LOAD,
        (PAYMENTS, Option("rates", (0.0,), "payments per second; 0: saturation"), WORKERS, NO_STANDBY),
        small=("--payments", "3000", "--rates", "200", "0"),
    ),
    Case(
        "http",
        "payments, batches and balances, requested by wrk",
        _http,
        CALLS,
        (
            WALLETS,
            Option("connections", CONNECTIONS, "number of concurrent connections"),
            Option("rate", 0.0, "payments per second beside the balances; 0: half the rate of the batches"),
            Option("seconds", 10.0, "duration of each step"),
        ),
        small=("--seconds", "4"),
    ),
    Case(
        "http-rate",
        "POST /v1/payments?wait at a steady rate",
        _http_rate,
        OVER_LOAD,
        (
            Option("payments", 500, "number of payments"),
            Option("rates", (50.0,), "payments per second"),
            WORKERS,
            NO_STANDBY,
        ),
        small=("--rates", "25", "50", "100"),
    ),
    Case(
        "cost",
        "CPU time of a payment, by component",
        _cost,
        Bars("us of a processor, a payment", tuple(f"cpu_us.{name}" for name in COMPONENTS)),
        (Option("payments", 100_000, "number of payments"), WALLETS),
        small=("--payments", "20000"),
    ),
)
