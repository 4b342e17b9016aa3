"""Deadlines on the real broker: they come when they are due, through restarts, takeovers and aborts."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from ledger_streams.engine.batches import PartitionedTopic
from ledger_streams.settings import Settings
from tests.engine_app.audit import committed
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.harness import EngineWorkers, engine_workers, said
from tests.live import Process, eventually

OFF = b"off"
RUNG_MS_MAX = 10_000
"""An alarm is late by less, on a busy machine too."""


@pytest.fixture
async def workers(alone: Settings) -> AsyncIterator[EngineWorkers]:
    """Toys with alarms; none runs yet."""
    async with engine_workers(alone, module="tests.engine_app.alarms") as workers:
        yield workers


def in_ms(delay_ms: int) -> int:
    """Return a time from now on."""
    return int(time.time() * 1000) + delay_ms


async def send(
    workers: EngineWorkers, alarms: Mapping[str, int | None], *, partition: int | None = None
) -> None:
    """Send what sets alarms to their times, or withdraws them."""
    name = workers.settings.topic("toy-in")
    async with AIOKafkaProducer(
        bootstrap_servers=workers.settings.kafka, acks="all", linger_ms=5
    ) as producer:
        for key, due_ms in alarms.items():
            value = OFF if due_ms is None else b"%d" % due_ms
            await producer.send(name, value, key.encode(), partition=partition)
        await producer.flush()


async def set_alarms(
    workers: EngineWorkers, alarms: Mapping[str, int | None], *, partition: int | None = None
) -> None:
    """Set alarms to their times, or withdraw them; they are in the table when this returns."""
    await send(workers, alarms, partition=partition)

    async def are_set() -> bool:
        states = {record.key: record.value for record in await records(workers, "toy-changelog")}
        rung = await rings(workers)
        return all(
            states.get(key.encode()) == (OFF if due_ms is None else b"%d" % due_ms)
            or due_ms in rung.get(key, ())
            for key, due_ms in alarms.items()
        )

    await eventually(are_set, what="all alarms are set")


async def records(workers: EngineWorkers, topic: str) -> list[Any]:
    """Return the committed records of a topic, partition by partition."""
    return [record for records in (await committed(workers.settings, topic)).values() for record in records]


async def rings(workers: EngineWorkers) -> dict[str, list[int]]:
    """Return the deadlines for which each alarm has rung, in order; none has come too early."""
    found: dict[str, list[int]] = {}
    for record in await records(workers, "toy-out"):
        assert record.timestamp >= int(record.value), f"{record.key} rang too early"
        found.setdefault(record.key.decode(), []).append(int(record.value))
    return found


async def have_rung(workers: EngineWorkers, *keys: str) -> dict[str, list[int]]:
    """Wait until these alarms have rung at least once, and return all rings."""

    async def all_rung() -> dict[str, list[int]] | None:
        found = await rings(workers)
        return found if set(keys) <= set(found) else None

    return await eventually(all_rung, what=f"{len(keys)} alarms have rung")


async def started(workers: EngineWorkers, worker_id: str = "1", *, fault: str = "") -> Process:
    """Start a toy and wait until it is ready."""
    toy = workers.start(worker_id, fault=fault)
    ready = toy.log.read_text().count("ready: ") if toy.log.exists() else 0
    await said(toy, "ready: ", times=ready + 1)
    return toy


async def test_a_deadline_comes_once_when_it_is_due_and_is_past_from_then_on(workers: EngineWorkers) -> None:
    toy = await started(workers)
    due_ms = in_ms(1_500)
    await set_alarms(workers, {"bell": due_ms, "note": due_ms})
    assert await rings(workers) == {}
    await have_rung(workers, "bell", "note")

    toy.stop()
    toy = await started(workers)  # its table says what is past
    later_ms = in_ms(300)
    await set_alarms(workers, dict.fromkeys(("bell-2", "note-2"), later_ms))
    assert await have_rung(workers, "bell-2", "note-2") == {
        "bell": [due_ms],
        "note": [due_ms],
        "bell-2": [later_ms],
        "note-2": [later_ms],
    }
    assert toy.exit_code is None


@pytest.mark.parametrize("tables", ["kept", "deleted"])
@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_a_deadline_comes_though_the_worker_is_away_when_it_is_due(
    workers: EngineWorkers, tables: str, end: str
) -> None:
    toy = await started(workers)
    due_ms = in_ms(2_000)
    alarms = {f"{kind}-{number}": due_ms + number for kind in ("bell", "note") for number in range(20)}
    await set_alarms(workers, alarms | {"bell-far": in_ms(3_600_000)})
    assert await rings(workers) == {}
    toy.stop() if end == "stopped" else toy.kill()
    if tables == "deleted":
        shutil.rmtree(workers.tables_dir())

    await eventually(lambda: is_past(due_ms + 20), what="they are due")
    await started(workers)
    assert await have_rung(workers, *alarms) == {key: [due] for key, due in alarms.items()}


@pytest.mark.parametrize("wrong_s", [-3_600, 3_600])
async def test_a_deadline_comes_in_time_though_the_machines_clock_is_an_hour_wrong(
    workers: EngineWorkers, wrong_s: int
) -> None:
    toy = await started(workers, fault=f"clock:{wrong_s}")
    due_ms = in_ms(1_500)
    await set_alarms(workers, {"bell": due_ms, "note": due_ms})
    assert await rings(workers) == {}
    assert await have_rung(workers, "bell", "note") == {"bell": [due_ms], "note": [due_ms]}
    assert in_ms(0) - due_ms < RUNG_MS_MAX
    assert toy.exit_code is None


async def test_a_partition_rebuilt_from_its_log_gives_what_its_states_still_say(
    workers: EngineWorkers,
) -> None:
    toy = await started(workers)
    due_ms = in_ms(0)
    await set_alarms(workers, {"bell": due_ms, "note": due_ms}, partition=0)
    await have_rung(workers, "bell", "note")
    toy.kill()
    shutil.rmtree(workers.tables_dir())
    await started(workers)
    await set_alarms(workers, {"bell-fence": in_ms(0)}, partition=0)
    found = await have_rung(workers, "bell-fence")
    assert (found["bell"], found["note"]) == ([due_ms], [due_ms, due_ms])


async def test_a_thousand_deadlines_due_during_a_takeover_take_effect_once_each(
    workers: EngineWorkers,
) -> None:
    dying, other = workers.start("1"), workers.start("2")
    await said(dying, "ready: 2 partitions")
    await said(other, "ready: 2 partitions")
    first_ms = in_ms(3_000)
    alarms = {f"bell-{number}": first_ms + 6 * number for number in range(1_000)}
    await set_alarms(workers, alarms)

    async def some_rang() -> bool:
        return len(await rings(workers)) >= 100

    await eventually(some_rang, what="some have rung")
    dying.signal(signal.SIGKILL)
    assert len(await rings(workers)) < len(alarms)
    await said(other, "ready: 4 partitions")
    assert await have_rung(workers, *alarms) == {key: [due] for key, due in alarms.items()}


async def test_a_moved_deadline_does_not_come_at_its_earlier_time(workers: EngineWorkers) -> None:
    await started(workers)
    earlier_ms, later_ms = in_ms(3_000), in_ms(4_000)
    await set_alarms(workers, {"note": earlier_ms, "note-forth-and-back": earlier_ms})
    await set_alarms(workers, {"note": later_ms, "note-forth-and-back": later_ms})
    await set_alarms(workers, {"note-forth-and-back": earlier_ms})
    assert in_ms(0) < earlier_ms, "too slow to tell"
    assert await have_rung(workers, "note", "note-forth-and-back") == {
        "note": [later_ms],
        "note-forth-and-back": [earlier_ms],
    }


async def test_a_deadline_moved_to_earlier_comes_then_and_not_again(workers: EngineWorkers) -> None:
    await started(workers)
    later_ms = in_ms(3_000)
    await set_alarms(workers, {"note": later_ms})
    earlier_ms = in_ms(500)
    await set_alarms(
        workers, {"note": earlier_ms, "note-fence": later_ms + 1}, partition=partition_of("note")
    )
    found = await have_rung(workers, "note-fence")
    assert found["note"] == [earlier_ms]


async def test_a_withdrawn_deadline_never_comes(workers: EngineWorkers) -> None:
    toy = await started(workers)
    due_ms = in_ms(2_500)
    await set_alarms(workers, {"note": due_ms, "note-restarted": due_ms}, partition=0)
    await set_alarms(workers, {"note": None, "note-restarted": None}, partition=0)
    assert in_ms(0) < due_ms, "too slow to tell"
    toy.kill()
    await started(workers)
    await set_alarms(workers, {"note-fence": due_ms + 1}, partition=0)
    assert set(await have_rung(workers, "note-fence")) == {"note-fence"}


async def test_an_aborted_transaction_gives_its_deadlines_again(workers: EngineWorkers) -> None:
    toy = await started(workers, fault="abort:2")
    due_ms = in_ms(1_500)
    alarms = dict.fromkeys(("bell", "note", "bell-2", "note-2"), due_ms)
    await set_alarms(workers, alarms, partition=2)  # the first commit
    found = await have_rung(workers, *alarms)
    assert "cycle lost" in toy.log.read_text()
    assert found == {key: [due] for key, due in alarms.items()}


async def test_a_commit_without_an_answer_does_not_ring_twice(workers: EngineWorkers) -> None:
    toy = await started(workers, fault="lose-answer:2")
    due_ms = in_ms(1_000)
    bells = {f"bell-{number}": due_ms + 100 * number for number in range(10)}
    await set_alarms(workers, bells)
    assert await have_rung(workers, *bells) == {key: [due] for key, due in bells.items()}
    assert "cycle lost" in toy.log.read_text()


async def test_killed_between_the_commit_and_rocksdb_nothing_rings_twice(workers: EngineWorkers) -> None:
    dying = await started(workers, fault="die-before-keep:2")
    due_ms = in_ms(1_500)
    await set_alarms(workers, {"bell": due_ms}, partition=0)
    assert dying.wait() == -signal.SIGKILL
    await started(workers)
    await set_alarms(workers, {"bell-fence": in_ms(0)}, partition=0)
    assert (await have_rung(workers, "bell-fence"))["bell"] == [due_ms]


async def test_more_deadlines_than_a_cycle_takes_come_all(workers: EngineWorkers) -> None:
    await started(workers)
    due_ms = in_ms(1_000)
    bells = {f"bell-{number}": due_ms for number in range(1_200)}
    await set_alarms(workers, bells, partition=1)
    assert await have_rung(workers, *bells) == {key: [due_ms] for key in bells}


async def test_a_record_older_than_a_deadline_is_carried_out_before_it_though_the_worker_was_away(
    workers: EngineWorkers,
) -> None:
    toy = await started(workers)
    due_ms = in_ms(2_500)
    await set_alarms(workers, {"note": due_ms}, partition=0)
    toy.kill()
    backlog = {f"note-{number}": None for number in range(1_500)}  # more than a poll
    await send(workers, backlog | {"note": None}, partition=0)
    assert in_ms(0) < due_ms, "too slow to tell"
    await eventually(lambda: is_past(due_ms), what="it is due")
    await started(workers)
    await set_alarms(workers, {"note-fence": in_ms(0)}, partition=0)
    assert set(await have_rung(workers, "note-fence")) == {"note-fence"}


async def test_a_deadline_older_than_a_record_is_carried_out_before_it_though_the_worker_was_away(
    workers: EngineWorkers,
) -> None:
    toy = await started(workers)
    due_ms = in_ms(1_500)
    await set_alarms(workers, {"bell": due_ms}, partition=0)
    toy.kill()
    await eventually(lambda: is_past(due_ms), what="it is due")
    await send(workers, {"bell": None}, partition=0)
    await started(workers)
    assert (await have_rung(workers, "bell"))["bell"] == [due_ms]


async def test_a_record_older_than_a_deadline_is_carried_out_before_it_though_the_worker_was_paused(
    workers: EngineWorkers,
) -> None:
    """The last fetch before the pause has left nothing unread, and says nothing of the time after it."""
    toy = await started(workers)
    due_ms = in_ms(2_500)
    await set_alarms(workers, {f"note-{number}": due_ms + number for number in range(3)}, partition=0)
    toy.signal(signal.SIGSTOP)
    await send(workers, dict.fromkeys((f"note-{number}" for number in range(3)), None), partition=0)
    assert in_ms(0) < due_ms, "too slow to tell"
    await eventually(lambda: is_past(due_ms + 100), what="they are due")
    toy.signal(signal.SIGCONT)
    await set_alarms(workers, {"note-fence": in_ms(0)}, partition=0)
    assert set(await have_rung(workers, "note-fence")) == {"note-fence"}


async def is_past(time_ms: int) -> bool:
    """Whether a time is past."""
    return in_ms(0) > time_ms


def partition_of(key: str) -> int:
    """Return the partition of a key."""
    number: int = PartitionedTopic("", PARTITIONS).for_key(key.encode()).partition
    return number


async def test_an_open_transaction_in_the_source_and_its_markers_hold_no_deadline_back(
    workers: EngineWorkers,
) -> None:
    await started(workers)
    settings = workers.settings
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.app_id}-outside"
    ) as outside:
        due_ms = in_ms(1_000)
        await set_alarms(workers, {"bell": due_ms}, partition=0)
        await outside.begin_transaction()
        await outside.send_and_wait(settings.topic("toy-in"), b"off", b"bell", partition=0)
        assert (await have_rung(workers, "bell"))["bell"] == [due_ms]
        later_ms = in_ms(1_500)
        await outside.abort_transaction()
        await set_alarms(workers, {"bell-2": later_ms}, partition=0)
        await outside.begin_transaction()
        await outside.send_and_wait(settings.topic("toy-in"), b"off", b"bell-2", partition=0)
        await outside.abort_transaction()  # the log ends with a marker
        assert (await have_rung(workers, "bell-2"))["bell-2"] == [later_ms]
