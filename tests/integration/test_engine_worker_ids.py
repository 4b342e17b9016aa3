"""Two processes on two machines have one worker id: the older one exits, the newer one goes on.

Each machine is a LEDGER_HOME of its own, so no lock prevents the second start.  A worker that was only
paused goes on.
"""

from __future__ import annotations

import signal

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.engine_app.audit import audit_outputs
from tests.engine_app.harness import EngineWorkers, said
from tests.integration.test_engine_rebalances import ONES, records_coming_in
from tests.live import Process, eventually

USED = "worker id 1 is used by another process"


async def is_ended_as_the_older(workers: EngineWorkers, older: Process, newer: Process) -> None:
    """Check that the older worker exits with the reason, and the newer one owns all partitions."""
    await said(newer, "ready: 4 partitions")
    assert older.wait() == EXIT_SOFTWARE
    assert USED in older.log.read_text(), older.tail()
    await workers.feed(ONES)
    await workers.all_added()
    assert newer.exit_code is None, newer.tail()
    assert USED not in newer.log.read_text()
    assert newer.log.read_text().count("Joined group") == 1
    newer.stop()
    await audit_outputs(workers.settings)


async def test_the_older_of_two_idle_workers_with_one_id_exits(workers: EngineWorkers) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    await is_ended_as_the_older(workers, older, workers.start(machine="elsewhere"))


async def test_the_older_of_two_busy_workers_with_one_id_exits(workers: EngineWorkers) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    async with records_coming_in(workers):
        newer = workers.start(machine="elsewhere")
        await said(newer, "ready: 4 partitions")
    assert older.wait() == EXIT_SOFTWARE
    assert "is used by another process" in older.log.read_text(), older.tail()
    await workers.all_added()
    assert newer.exit_code is None, newer.tail()
    newer.stop()
    await audit_outputs(workers.settings)


async def test_a_replaced_worker_suspended_during_a_cycle_exits_and_commits_nothing_of_it(
    workers: EngineWorkers,
) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    workers.hold()
    await workers.feed(ONES)
    await said(older, "worker holds its commit")
    older.signal(signal.SIGSTOP)
    newer = workers.start(machine="elsewhere")
    await said(newer, "ready: 4 partitions")
    workers.release()
    older.signal(signal.SIGCONT)
    assert older.wait() == EXIT_SOFTWARE
    await workers.all_added()
    assert newer.exit_code is None, newer.tail()
    newer.stop()
    await audit_outputs(workers.settings)


async def test_a_worker_replaced_while_paused_exits_when_it_resumes(
    workers: EngineWorkers,
) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    older.signal(signal.SIGSTOP)
    newer = workers.start(machine="elsewhere")
    await said(newer, "ready: 4 partitions")
    older.signal(signal.SIGCONT)
    await is_ended_as_the_older(workers, older, newer)


async def test_a_fenced_worker_still_in_the_group_goes_on(
    workers: EngineWorkers,
) -> None:
    """A broker also fences the producer of a slow worker; only the group knows whether it was replaced."""
    worker = workers.start()
    await said(worker, "ready: 4 partitions")
    await workers.feed(ONES)
    await workers.all_added()
    other = Transactions(
        bootstrap=workers.settings.kafka,
        transactional_id=f"{workers.settings.app_id}-1",
        group_id=workers.settings.app_id,
        transaction_timeout_ms=5_000,
        topics=(),
        clock=BrokerClock(),
    )
    await other.start()
    await workers.feed(ONES)
    await said(worker, "cycle lost, taking over anew: kafka is not available: ProducerFenced")
    await workers.all_exact()
    assert USED not in worker.log.read_text()
    await other.drop()


async def test_a_worker_paused_beyond_its_session_joins_again(workers: EngineWorkers) -> None:
    paused, other = workers.start("1"), workers.start("2")
    await said(paused, "ready: 2 partitions")
    await said(other, "ready: 2 partitions")
    alone = other.log.read_text().count("ready: 4 partitions")
    paused.signal(signal.SIGSTOP)
    await said(other, "ready: 4 partitions", times=alone + 1)
    paused.signal(signal.SIGCONT)
    await said(paused, "ready: 2 partitions", times=2)
    await workers.feed(ONES)
    await workers.all_exact()
    assert USED not in paused.log.read_text()


async def test_two_supervised_workers_with_one_id_end_each_other_in_turn(
    workers: EngineWorkers,
) -> None:
    first = workers.start()
    await said(first, "ready: 4 partitions")
    second = workers.start(machine="elsewhere")
    await said(second, "ready: 4 partitions")
    assert first.wait() == EXIT_SOFTWARE
    first.start()

    async def is_ended() -> bool:
        return second.exit_code == EXIT_SOFTWARE

    await eventually(is_ended, what="the one that is the older now ends")
    await said(first, "ready: 4 partitions", times=2)
    await workers.feed(ONES)
    await workers.all_added_once()
