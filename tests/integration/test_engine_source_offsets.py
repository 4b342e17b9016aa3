"""Source offsets after a loss of the group's offsets, of RocksDB or of the changelog."""

from __future__ import annotations

import shutil

import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.engine_app.audit import audit_outputs, audit_tables, check_table, committed, last_of_each_key
from tests.engine_app.harness import EngineWorkers
from tests.live import eventually

ONES = {f"key-{number}": 1 for number in range(20)}


async def run_and_kill(workers: EngineWorkers, *, times: int) -> None:
    """Feed ones, let a worker add them, and kill it."""
    worker = workers.start()
    await workers.feed(ONES, times=times)
    await workers.all_added()
    worker.kill()


@pytest.mark.parametrize("tables", [pytest.param("kept", marks=pytest.mark.slow), "deleted"])
async def test_without_group_offsets_the_source_offset_comes_from_the_changelog(
    workers: EngineWorkers, tables: str
) -> None:
    await run_and_kill(workers, times=20)
    if tables == "deleted":
        shutil.rmtree(workers.tables_dir())
    workers.start(group=f"{workers.settings.app_id}-anew")
    await workers.feed(ONES, times=5)
    await workers.all_exact()


async def test_without_group_offsets_records_without_effect_are_not_repeated(
    workers: EngineWorkers,
) -> None:
    worker = workers.start()
    await workers.feed(ONES)
    await workers.all_added()
    await workers.feed(dict.fromkeys(ONES, 0), times=3)

    async def all_are_out() -> bool:
        return await workers.outputs() == {key: [1, 1, 1, 1] for key in ONES}

    await eventually(all_are_out, what="the zeros are out")
    worker.stop()
    workers.start(group=f"{workers.settings.app_id}-anew")
    await workers.feed(ONES)
    assert await workers.all_added() == {key: [1, 1, 1, 1, 2] for key in ONES}


@pytest.mark.parametrize("loss", [pytest.param("deleted", marks=pytest.mark.slow), "of an earlier day"])
async def test_a_rocksdb_folder_is_caught_up(workers: EngineWorkers, loss: str) -> None:
    folder, kept = workers.tables_dir(), workers.settings.home / "earlier"
    await run_and_kill(workers, times=10)
    shutil.copytree(folder, kept)
    await run_and_kill(workers, times=10)
    shutil.rmtree(folder)
    if loss == "of an earlier day":
        shutil.copytree(kept, folder)
    workers.start()
    await workers.feed(ONES, times=10)
    await workers.all_exact()


async def test_a_position_beyond_the_end_of_a_new_changelog_wipes_the_store(
    workers: EngineWorkers,
) -> None:
    await run_and_kill(workers, times=20)
    last = last_of_each_key(await committed(workers.settings, "toy-changelog"))
    await workers.make_anew("toy-changelog", last)

    worker = workers.start()
    await workers.feed(ONES, times=5)
    await workers.all_added()
    worker.stop()
    assert worker.log.read_text().count("wiped, to be rebuilt") == len(last)
    await audit_outputs(workers.settings)
    await audit_tables(workers.settings)


async def test_a_table_is_not_emptied_because_its_changelog_was_lost(workers: EngineWorkers) -> None:
    await run_and_kill(workers, times=5)
    before, log = await workers.outputs(), await committed(workers.settings, "toy-changelog")
    await workers.make_anew("toy-changelog", {})
    await workers.feed(ONES)

    for _ in range(2):  # the first start leaves markers in the new topic
        worker = workers.start()
        assert worker.wait() == EXIT_SOFTWARE
        assert "has lost all records, its table has not: refusing to empty it" in worker.log.read_text()
    assert await workers.outputs() == before
    for partition, records in log.items():
        check_table(workers.tables_dir() / "sums" / str(partition), records)


async def test_states_without_any_source_offset_are_refused(workers: EngineWorkers) -> None:
    await run_and_kill(workers, times=1)
    shutil.rmtree(workers.tables_dir())
    last = last_of_each_key(await committed(workers.settings, "toy-changelog"))
    await workers.make_anew("toy-changelog", last, headers=False)
    before = await workers.outputs()

    refusing = workers.start(group=f"{workers.settings.app_id}-anew")
    assert refusing.wait() == EXIT_SOFTWARE
    assert "refusing to start from zero" in refusing.log.read_text()
    assert await workers.outputs() == before


async def test_records_of_an_aborted_transaction_are_never_carried_out(workers: EngineWorkers) -> None:
    settings, worker = workers.settings, workers.start()
    await workers.feed(ONES, times=3)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.app_id}-outside"
    ) as outside:
        await outside.begin_transaction()
        for key in ONES:
            await outside.send_and_wait(settings.topic("toy-in"), b"1000", key=key.encode())
        await workers.feed(ONES, times=3)  # behind the open transaction: they wait for its end
        await outside.abort_transaction()
    await workers.feed(ONES, times=3)
    await workers.all_exact()
    assert worker.exit_code == 0
