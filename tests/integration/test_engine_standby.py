"""Tables that are followed before they are owned: what a takeover has still to read, and what kills leave."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger_streams.engine.state.store import read_only
from ledger_streams.reconciliation.rocksdb_tables import position_of
from tests.engine_app.audit import committed
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.harness import EngineWorkers, said
from tests.integration.test_engine_rebalances import ONES, records_coming_in, two_ready
from tests.live import Process, eventually

TIMES = 50
RECORDS = TIMES * len(ONES)
_read_back = re.compile(r"are up to their changelogs: (\d+) records").findall


def read_back(toy: Process) -> int:
    """Return how many records the last takeover of a toy has read."""
    return int(_read_back(toy.log.read_text())[-1])


def positions(tables_dir: Path) -> dict[int, int]:
    """Return how far each copy below a folder has read its changelog."""
    found: dict[int, int] = {}
    for folder in (tables_dir / "sums").glob("*"):
        database = read_only(tables_dir, "sums", int(folder.name))
        found[int(folder.name)] = position_of(database).changelog_next
        database.close()
    return found


async def all_followed(workers: EngineWorkers, worker_id: str) -> None:
    """Wait until a worker's copies, owned or not, have the last record of each changelog."""
    log = await committed(workers.settings, "toy-changelog")
    ends = {partition: records[-1].offset + 1 for partition, records in log.items() if records}

    async def is_there() -> bool:
        have = positions(workers.tables_dir(worker_id))
        return all(have.get(partition, 0) >= end for partition, end in ends.items())

    await eventually(is_there, what=f"worker {worker_id} has followed all changelogs", every_s=0.2)


@pytest.mark.parametrize("standby", [True, False])
async def test_a_takeover_by_a_warm_standby_reads_the_tail_alone(
    workers: EngineWorkers, standby: bool
) -> None:
    workers.settings = workers.settings.model_copy(update={"standby": standby})
    killed, other = await two_ready(workers)
    await workers.feed(ONES, times=TIMES)
    await workers.all_added()
    if standby:
        await all_followed(workers, "2")
    alone = other.log.read_text().count("ready: 4 partitions")
    killed.kill()
    await said(other, "ready: 4 partitions", times=alone + 1)
    assert read_back(other) == 0 if standby else read_back(other) > RECORDS / PARTITIONS
    await workers.feed(ONES)
    await workers.all_exact()


async def test_what_comes_after_the_standby_s_last_look_is_read_by_the_takeover(
    workers: EngineWorkers,
) -> None:
    killed, other = await two_ready(workers)
    async with records_coming_in(workers):
        await more_fed(workers, 2 * RECORDS)
        killed.kill()
        await said(other, "ready: 4 partitions")
    await workers.all_exact()


async def test_a_standby_that_comes_too_late_for_a_takeover_follows_from_where_it_is(
    workers: EngineWorkers,
) -> None:
    first = workers.start("1")
    await said(first, "ready: 4 partitions")
    await workers.feed(ONES, times=TIMES)
    await workers.all_added()
    second = workers.start("2")
    await said(second, "standing by for 2 table partitions")
    await all_followed(workers, "2")
    await workers.feed(ONES, times=TIMES)
    await workers.all_added()
    await all_followed(workers, "1")
    await all_followed(workers, "2")
    await workers.all_exact()


async def test_workers_killed_in_turn_at_any_time_leave_owned_and_followed_tables_exact(
    workers: EngineWorkers,
) -> None:
    await two_ready(workers)
    async with records_coming_in(workers):
        for number, worker_id in enumerate("121212"):
            toy = workers.processes[worker_id]
            fed = workers.fed.total()
            await more_fed(workers, fed + 137 * (number % 4))  # in another moment of a look each time
            toy.kill()
            ready = toy.log.read_text().count("ready: ")
            toy.start()
            await said(toy, "ready: ", times=ready + 1)
    await workers.all_exact()


async def test_kills_with_takeovers_leave_owned_and_followed_tables_exact(workers: EngineWorkers) -> None:
    await two_ready(workers)
    async with records_coming_in(workers):
        for killed, other in ("12", "21"):
            taken = workers.processes[other].log.read_text().count("ready: 4 partitions")
            workers.processes[killed].kill()
            await said(workers.processes[other], "ready: 4 partitions", times=taken + 1)
            shared = workers.processes[other].log.read_text().count("ready: 2 partitions")
            workers.processes[killed].start()
            await said(workers.processes[other], "ready: 2 partitions", times=shared + 1)
    await workers.all_exact()


async def more_fed(workers: EngineWorkers, goal: int) -> None:
    """Wait until so much has been fed in all."""

    async def is_fed() -> bool:
        return workers.fed.total() >= goal

    await eventually(is_fed, what=f"{goal} records are fed", every_s=0.005)
