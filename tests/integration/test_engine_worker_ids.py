"""One worker id in two processes on two machines: the older one ends, and the other goes on.

Two machines are two LEDGER_HOMEs, so no lock is in the way.  Who was only paused is not bothered.
"""

from __future__ import annotations

import signal

from ledger_streams.engine.transactions import Transactions
from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.engine_app.audit import audit_outputs
from tests.engine_app.harness import EngineWorkers, said
from tests.integration.test_engine_rebalances import ONES, records_coming_in
from tests.live import Process, eventually

USED = "worker id 1 is used by another process"


async def is_ended_as_the_older(workers: EngineWorkers, older: Process, newer: Process) -> None:
    """The older one ends and says why, and the newer one has everything to itself."""
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


async def test_of_two_that_are_idle_the_older_ends(workers: EngineWorkers) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    await is_ended_as_the_older(workers, older, workers.start(machine="elsewhere"))


async def test_of_two_with_records_coming_in_the_older_ends(workers: EngineWorkers) -> None:
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


async def test_one_that_slept_with_a_cycle_in_hand_ends_and_commits_nothing_of_it(
    workers: EngineWorkers,
) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    workers.hold()
    await workers.feed(ONES)
    await said(older, "a commit is held")
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


async def test_one_that_was_paused_while_another_took_its_place_ends_when_it_wakes(
    workers: EngineWorkers,
) -> None:
    older = workers.start()
    await said(older, "ready: 4 partitions")
    older.signal(signal.SIGSTOP)
    newer = workers.start(machine="elsewhere")
    await said(newer, "ready: 4 partitions")
    older.signal(signal.SIGCONT)
    await is_ended_as_the_older(workers, older, newer)


async def test_one_that_is_fenced_and_whose_place_in_the_group_nobody_has_taken_goes_on(
    workers: EngineWorkers,
) -> None:
    """A broker fences a slow worker's producer too, so only the group tells that it was replaced."""
    toy = workers.start()
    await said(toy, "ready: 4 partitions")
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
    await said(toy, "cycle lost, taking over anew: kafka is not available: ProducerFenced")
    await workers.all_exact()
    assert USED not in toy.log.read_text()
    await other.drop()


async def test_one_that_was_paused_until_the_group_had_gone_on_joins_again(workers: EngineWorkers) -> None:
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


async def test_started_again_under_a_supervisor_the_two_end_each_other_in_turn(
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
