"""The benchmarks: a system of its own on the tests' stack, loaded; JSON to stdout.

python -m tests.bench worker      transfers over Kafka, one worker, no projector
python -m tests.bench projector   the same with a projector beside it
python -m tests.bench http        POST /v1/payments?wait at 50 a second
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import asyncpg
import msgspec

from ledger_streams import topics
from ledger_streams.adapters import postgres_migrations
from ledger_streams.settings import Settings
from ledger_streams.stack import up
from tests.bench.load import KafkaLoad, Timing, http_with_wait, wallet_ids
from tests.conftest import POSTGRES, stack_settings
from tests.live import LiveSystem

WALLETS = 2_000
CASES = ("worker", "projector", "http")


async def run(case: str, payments: int, rates_per_s: list[float]) -> dict[str, Timing]:
    """Run one case and return its timings by rate; rate 0 is as fast as it goes."""
    home = Path(tempfile.mkdtemp(prefix="ledger-bench-"))
    live = LiveSystem(await _system(home))
    try:
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
    finally:
        await live.close()
        shutil.rmtree(home)


async def _system(home: Path) -> Settings:
    """Return settings of a system with topics and a database of its own."""
    name = f"b{uuid.uuid4().hex[:12]}"
    settings = stack_settings(home=home, postgres=f"{POSTGRES}/{name}", app_id=name, topic_prefix=f"{name}-")
    connection = await asyncpg.connect(f"{POSTGRES}/ledger")
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    await postgres_migrations.upgrade(settings.postgres)
    await topics.apply(settings)
    return settings


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--payments", type=int, default=None, help="20000, or 500 for http")
    parser.add_argument(
        "--rates", type=float, nargs="+", default=None, help="payments a second; 0: saturation"
    )
    given = parser.parse_args()
    payments = given.payments or (500 if given.case == "http" else 20_000)
    rates = given.rates or ([50.0] if given.case == "http" else [0.0])
    up(stack_settings(), say=lambda line: None)
    timings = asyncio.run(run(given.case, payments, rates))
    machine = {"cores": os.cpu_count(), "load_1min": os.getloadavg()[0]}
    print(
        msgspec.json.format(
            msgspec.json.encode({"case": given.case, "machine": machine, "timings": timings})
        ).decode()
    )


if __name__ == "__main__":
    main()
