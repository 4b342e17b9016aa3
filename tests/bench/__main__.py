"""The benchmarks: a system of its own on the tests' stack, loaded; JSON to stdout.

python -m tests.bench worker      transfers over Kafka, one worker, no projector
python -m tests.bench backlog     transfers that wait in Kafka, carried out by --workers alone
python -m tests.bench wallets     --commands through the wallets agent alone, and through its peers, in turn
python -m tests.bench projector   the same with a projector beside it
python -m tests.bench http        POST /v1/payments?wait at 50 a second
python -m tests.bench rebuild     a worker with an empty folder reads --wallets back from Kafka
python -m tests.bench takeover    one of two workers is killed; --wallets, and as many payments, in its tables
python -m tests.bench sink        payments written by the projector's sink alone, without Kafka
python -m tests.bench legs        the same with and without PostgreSQL's check of double entry, in turn
python -m tests.bench audit       the same, then its day is closed and all of it verified
python -m tests.bench bounced     the same, directly and through PgBouncer, in turn
python -m tests.bench wallet      the past of one wallet of --events
python -m tests.bench analytics   the analysts' views and the owner's SQL over a history of --events
python -m tests.bench balances    refreshing wallet_balances over such a history, also beside the sink
python -m tests.bench archive     the events of --payments archived, verified and attached again
python -m tests.bench gin         --events inserted with each kind of GIN index, in turn
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from ledger_streams.settings import Settings
from ledger_streams.stack import up
from tests.bench.analytics import Analyzed, analytics
from tests.bench.archive import Months, archive
from tests.bench.backlog import Drained, drain
from tests.bench.balances import Refreshed, balances
from tests.bench.bounced import Bounced, bounced
from tests.bench.contenders import CONTENDERS
from tests.bench.gin import Indexed, gin
from tests.bench.legs import Checked, legs
from tests.bench.load import KafkaLoad, Timing, http_with_wait, wallet_ids
from tests.bench.rebuild import Rebuilt, fill, rebuild
from tests.bench.sink import Audited, Written, audited, sink
from tests.bench.takeover import Recovered, take_over
from tests.bench.wallet import Travelled, travel
from tests.bench.wallets import Compared, compare
from tests.conftest import stack_settings
from tests.live import LiveSystem, running
from tests.own_system import own_system

WALLETS = 2_000
MANY_WALLETS = {"rebuild": 1_000_000, "takeover": 1_000_000, "wallets": 10_000}
"""Where --wallets says how many; its default."""
DATABASE_CASES = ("sink", "legs", "wallet", "analytics", "balances", "gin", "archive")
OWN_SYSTEM_CASES = ("worker", "backlog", "projector", "http", "rebuild", "takeover", "audit", "bounced")
CASES = (*OWN_SYSTEM_CASES, "wallets", *DATABASE_CASES)
TAKEOVER_RATE_PER_S = 200

OfDatabase = Written | Travelled | Analyzed | Refreshed | Months | dict[str, Checked] | dict[str, Indexed]
OfSystem = dict[str, Timing] | Drained | Rebuilt | Recovered | Audited | dict[str, Bounced]
Figures = OfSystem | Compared | OfDatabase


async def run(given: Any) -> Figures:
    """Run one case on a system of its own, which is gone afterwards, and return its figures."""
    if given.case in DATABASE_CASES:
        return await in_a_database(given)
    wallets = given.wallets or MANY_WALLETS.get(given.case, WALLETS)
    if given.case == "wallets":
        wanted = {"commands": given.commands, "rounds": given.rounds, "names": given.contenders}
        return await compare(stack_settings(), wallets=wallets, **wanted)
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        async with own_system(stack_settings(), Path(folder)) as own, running(changed(own, given)) as live:
            if given.case == "rebuild":
                return await rebuild(live, wallets=wallets)
            if given.case == "takeover":
                await fill(live, wallets, payments=wallets)
                return await take_over(live, rate_per_s=TAKEOVER_RATE_PER_S)
            if given.case in ("audit", "bounced"):
                measure = audited if given.case == "audit" else bounced
                return await measure(own, payments=given.payments or 20_000)
            payments = given.payments or (500 if given.case == "http" else 20_000)
            rates_per_s = given.rates or ([50.0] if given.case == "http" else [0.0])
            return await loaded(live, given.case, payments, rates_per_s, workers=given.workers)


async def in_a_database(given: Any) -> OfDatabase:
    """Run a case that needs nothing but PostgreSQL."""
    if given.case == "wallet":
        return await travel(stack_settings(), events=given.events)
    if given.case == "analytics":
        return await analytics(stack_settings(), events=given.events)
    if given.case == "balances":
        return await balances(stack_settings(), events=given.events)
    if given.case == "gin":
        return await gin(stack_settings(), events=given.events)
    if given.case == "archive":
        return await archive(stack_settings(), payments=given.payments or 20_000)
    measure = legs if given.case == "legs" else sink
    return await measure(stack_settings(), payments=given.payments or 20_000)


def changed(own: Settings, given: Any) -> Settings:
    """Return the settings of the system that is measured."""
    return own.model_copy(update={"standby": not given.no_standby})


async def loaded(
    live: LiveSystem, case: str, payments: int, rates_per_s: list[float], *, workers: int
) -> dict[str, Timing] | Drained:
    """Load the system and return its timings by rate; rate 0 is as fast as it goes."""
    names = [str(number) for number in range(1, workers + 1)]
    for name in names:
        live.start("worker", name)
    for name in names:
        await live.ready(name)
    if case not in ("worker", "backlog"):
        live.start("projector")
    load, wallets = KafkaLoad(live.settings), wallet_ids(WALLETS)
    await load.open_wallets(wallets)
    await load.run(wallets, payments=200, rate_per_s=50)  # all wallets are open, connections are warm
    if case == "backlog":
        return await drain(live, load, wallets, payments=payments)
    timings = {}
    for rate in rates_per_s:
        if case == "http":
            measured = await http_with_wait(live, wallets, payments=payments, rate_per_s=rate)
        else:
            measured = await load.run(wallets, payments=payments, rate_per_s=rate)
        timings[f"{rate:g}/s" if rate else "saturation"] = measured
    return timings


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--payments", type=int, default=None, help="20000, or 500 for http")
    parser.add_argument(
        "--wallets", type=int, default=None, help="1000000 for rebuild and takeover, 10000 for wallets"
    )
    parser.add_argument("--commands", type=int, default=100_000, help="for wallets")
    parser.add_argument("--rounds", type=int, default=3, help="for wallets: turns of each contender")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=[*CONTENDERS], help="for wallets"
    )
    parser.add_argument("--workers", type=int, default=1, help="for worker, backlog, projector and http")
    parser.add_argument("--no-standby", action="store_true", help="LEDGER_STANDBY=0")
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="for wallet, analytics, balances and gin"
    )
    parser.add_argument(
        "--rates", type=float, nargs="+", default=None, help="payments a second; 0: saturation"
    )
    given = parser.parse_args()
    up(stack_settings(), say=lambda line: None)
    timings = asyncio.run(run(given))
    machine = {"cores": os.cpu_count(), "load_1min": os.getloadavg()[0]}
    print(
        msgspec.json.format(
            msgspec.json.encode({"case": given.case, "machine": machine, "timings": timings})
        ).decode()
    )


if __name__ == "__main__":
    main()
