"""The benchmarks: a system of its own on the tests' stack, loaded; JSON to stdout.

python -m tests.bench worker      transfers over Kafka, one worker, no projector
python -m tests.bench projector   the same with a projector beside it
python -m tests.bench http        POST /v1/payments?wait at 50 a second
python -m tests.bench rebuild     a worker with an empty folder reads --wallets back from Kafka
python -m tests.bench sink        --payments into an empty database, without Kafka and projector
python -m tests.bench audit       the same, then its day is closed and all of it verified
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from ledger_streams.stack import up
from tests.bench.load import KafkaLoad, Timing, http_with_wait, wallet_ids
from tests.bench.rebuild import Rebuilt, rebuild
from tests.bench.sink import Audited, Sunk, audited, sink
from tests.conftest import stack_settings
from tests.live import LiveSystem, running
from tests.own_system import own_system

WALLETS = 2_000
CASES = ("worker", "projector", "http", "rebuild", "sink", "audit")


async def run(given: Any) -> dict[str, Timing] | Rebuilt | Sunk | Audited:
    """Run one case on a system of its own, which is gone afterwards, and return its figures."""
    with tempfile.TemporaryDirectory(prefix="ledger-bench-") as folder:
        async with own_system(stack_settings(), Path(folder)) as settings, running(settings) as live:
            if given.case == "rebuild":
                return await rebuild(live, wallets=given.wallets)
            if given.case == "sink":
                return await sink(settings, payments=given.payments or 20_000)
            if given.case == "audit":
                return await audited(settings, payments=given.payments or 20_000)
            payments = given.payments or (500 if given.case == "http" else 20_000)
            rates_per_s = given.rates or ([50.0] if given.case == "http" else [0.0])
            return await loaded(live, given.case, payments, rates_per_s)


async def loaded(live: LiveSystem, case: str, payments: int, rates_per_s: list[float]) -> dict[str, Timing]:
    """Load the system and return its timings by rate; rate 0 is as fast as it goes."""
    live.start("worker")
    await live.ready()
    if case != "worker":
        live.start("projector")
    load, wallets = KafkaLoad(live.settings), wallet_ids(WALLETS)
    await load.open_wallets(wallets)
    await load.run(wallets, payments=200, rate_per_s=50)  # all wallets are open, connections are warm
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
    parser.add_argument("--wallets", type=int, default=1_000_000, help="for rebuild")
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
