"""The soak: one system on servers of its own, nemeses at random, an audit after each.

python -m tests.soak --minutes 60 --seed 7 --brokers 3

A row a nemesis goes to stdout, the table at the end.  The first difference, or a system that does
not recover, ends it with exit code 1 and the seed, and leaves the processes' logs, and what the
servers have on disk, where it says.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from random import Random

from ledger_streams.local.stack import down
from ledger_streams.settings import Settings
from tests.fault.broker_nemeses import BROKER_NEMESES
from tests.fault.fault_scenario import HEAD, FaultScenario, Row
from tests.fault.nemeses import ANYWHERE_NEMESES, NEMESES, Nemesis, name_of
from tests.fault.testbed import open_testbed, own_servers
from tests.model.live_system import LiveModel

SECONDS_PER_MINUTE = 60


async def soak(
    servers: Settings, home: Path, *, minutes: float, seed: int, nemeses: Sequence[Nemesis]
) -> list[Row]:
    """Return the rows, the last of them with the faults that ended it, if there were any."""
    random, rows = Random(seed), list[Row]()
    until_s = time.monotonic() + minutes * SECONDS_PER_MINUTE
    async with open_testbed(servers, home) as testbed, aclosing(LiveModel(testbed.live)) as model:
        scenario = FaultScenario(testbed, model, seed)
        await scenario.open()
        while time.monotonic() < until_s:
            nemesis = random.choice(nemeses)
            print(f"{name_of(nemesis)} ...", file=sys.stderr, flush=True)
            row = await scenario.under(nemesis)
            rows.append(row)
            print(row.text(), flush=True)
            if row.faults:
                break
    return rows


def main() -> None:
    """Read the command line, run, print; exit 1 at a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="no nemesis begins after that")
    parser.add_argument("--seed", type=int, default=1, help="of the workload and of the nemeses' order")
    parser.add_argument(
        "--brokers", type=int, default=1, help="of several, one or two are lost at a time too"
    )
    given = parser.parse_args()
    nemeses = NEMESES if given.brokers == 1 else ANYWHERE_NEMESES + BROKER_NEMESES
    home = Path(tempfile.mkdtemp(prefix="ledger-soak-"))
    print(f"seed {given.seed}, logs in {home}\n{HEAD}", flush=True)
    with own_servers(brokers=given.brokers) as servers:
        rows = asyncio.run(
            soak(servers, home, minutes=given.minutes, seed=given.seed, nemeses=nemeses),
        )
        if any(row.faults for row in rows):
            keep(servers, home)
    print("\n".join(["", HEAD, *(row.text() for row in rows)]))
    conclude(rows, home, seed=given.seed)


def keep(servers: Settings, home: Path) -> None:
    """Stop the servers and copy their folder beside the logs: Kafka's own say what a restart did."""
    down(servers, say=lambda _: None)
    shutil.copytree(servers.home / "stack", home / "servers")


def conclude(rows: Sequence[Row], home: Path, *, seed: int) -> None:
    """Remove the logs, or exit with what was found."""
    faults = [fault for row in rows for fault in row.faults]
    if faults:
        sys.exit("\n".join([f"seed {seed} found, logs in {home}:", *faults]))
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
