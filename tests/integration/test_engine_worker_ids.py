"""One worker id in two processes on two machines: the older one ends, and the other goes on.

Two machines are two LEDGER_HOMEs, so no lock is in the way.  Who was only paused is not bothered.
"""

from __future__ import annotations

import signal

from ledger_streams.kafka.broker_clock import BrokerClock
from ledger_streams.kafka.transactions import Transactions
from ledger_streams.process_exit import EXIT_SOFTWARE
from tests.engine_app.audit import audit_outputs
from tests.engine_app.harness import Toys, said
from tests.integration.test_engine_rebalances import ONES, records_coming_in
from tests.live import Process, eventually

USED = "worker id 1 is used by another process"


async def is_ended_as_the_older(toys: Toys, older: Process, newer: Process) -> None:
    """The older one ends and says why, and the newer one has everything to itself."""
    await said(newer, "ready: 4 partitions")
    assert older.wait() == EXIT_SOFTWARE
    assert USED in older.log.read_text(), older.tail()
    await toys.feed(ONES)
    await toys.all_added()
    assert newer.exit_code is None, newer.tail()
    assert USED not in newer.log.read_text()
    assert newer.log.read_text().count("Joined group") == 1
    newer.stop()
    await audit_outputs(toys.settings)


async def test_of_two_that_are_idle_the_older_ends(toys: Toys) -> None:
    older = toys.start()
    await said(older, "ready: 4 partitions")
    await is_ended_as_the_older(toys, older, toys.start(machine="elsewhere"))


async def test_of_two_with_records_coming_in_the_older_ends(toys: Toys) -> None:
    older = toys.start()
    await said(older, "ready: 4 partitions")
    async with records_coming_in(toys):
        newer = toys.start(machine="elsewhere")
        await said(newer, "ready: 4 partitions")
    assert older.wait() == EXIT_SOFTWARE
    assert "is used by another process" in older.log.read_text(), older.tail()
    await toys.all_added()
    assert newer.exit_code is None, newer.tail()
    newer.stop()
    await audit_outputs(toys.settings)


async def test_one_that_slept_with_a_cycle_in_hand_ends_and_commits_nothing_of_it(toys: Toys) -> None:
    older = toys.start()
    await said(older, "ready: 4 partitions")
    toys.hold()
    await toys.feed(ONES)
    await said(older, "a commit is held")
    older.signal(signal.SIGSTOP)
    newer = toys.start(machine="elsewhere")
    await said(newer, "ready: 4 partitions")
    toys.release()
    older.signal(signal.SIGCONT)
    assert older.wait() == EXIT_SOFTWARE
    await toys.all_added()
    assert newer.exit_code is None, newer.tail()
    newer.stop()
    await audit_outputs(toys.settings)


async def test_one_that_was_paused_while_another_took_its_place_ends_when_it_wakes(toys: Toys) -> None:
    older = toys.start()
    await said(older, "ready: 4 partitions")
    older.signal(signal.SIGSTOP)
    newer = toys.start(machine="elsewhere")
    await said(newer, "ready: 4 partitions")
    older.signal(signal.SIGCONT)
    await is_ended_as_the_older(toys, older, newer)


async def test_one_that_is_fenced_and_whose_place_in_the_group_nobody_has_taken_goes_on(toys: Toys) -> None:
    """A broker fences a slow worker's producer too, so only the group tells that it was replaced."""
    toy = toys.start()
    await said(toy, "ready: 4 partitions")
    await toys.feed(ONES)
    await toys.all_added()
    other = Transactions(
        bootstrap=toys.settings.kafka,
        transactional_id=f"{toys.settings.app_id}-1",
        group_id=toys.settings.app_id,
        transaction_timeout_ms=5_000,
        topics=(),
        clock=BrokerClock(),
    )
    await other.start()
    await toys.feed(ONES)
    await said(toy, "cycle lost, taking over anew: kafka is not available: ProducerFenced")
    await toys.all_exact()
    assert USED not in toy.log.read_text()
    await other.drop()


async def test_one_that_was_paused_until_the_group_had_gone_on_joins_again(toys: Toys) -> None:
    paused, other = toys.start("1"), toys.start("2")
    await said(paused, "ready: 2 partitions")
    await said(other, "ready: 2 partitions")
    alone = other.log.read_text().count("ready: 4 partitions")
    paused.signal(signal.SIGSTOP)
    await said(other, "ready: 4 partitions", times=alone + 1)
    paused.signal(signal.SIGCONT)
    await said(paused, "ready: 2 partitions", times=2)
    await toys.feed(ONES)
    await toys.all_exact()
    assert USED not in paused.log.read_text()


async def test_started_again_under_a_supervisor_the_two_end_each_other_in_turn(toys: Toys) -> None:
    first = toys.start()
    await said(first, "ready: 4 partitions")
    second = toys.start(machine="elsewhere")
    await said(second, "ready: 4 partitions")
    assert first.wait() == EXIT_SOFTWARE
    first.start()

    async def is_ended() -> bool:
        return second.exit_code == EXIT_SOFTWARE

    await eventually(is_ended, what="the one that is the older now ends")
    await said(first, "ready: 4 partitions", times=2)
    await toys.feed(ONES)
    await toys.all_added_once()
