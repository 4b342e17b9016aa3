"""The engine's rules, on a real broker, with a toy that adds numbers and fails as told."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams.engine.ending import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.engine_toy.harness import Toys
from tests.live import Process, eventually

ONES = {f"key-{number}": 1 for number in range(20)}


@pytest.fixture
async def toys(alone: Settings) -> AsyncIterator[Toys]:
    group = Toys(alone)
    await group.create_topics()
    try:
        yield group
    finally:
        group.close()


async def logged(process: Process, text: str, *, times: int = 1, seconds: float = 40.0) -> None:
    async def is_there() -> bool:
        return process.log.exists() and process.log.read_text(errors="replace").count(text) >= times

    await eventually(is_there, what=f"{process.name} says {text!r}", seconds=seconds)


async def test_everything_comes_out_once(toys: Toys) -> None:
    toys.start()
    await toys.feed(ONES, times=100)
    await toys.all_added_once()


async def test_killed_between_the_commit_and_rocksdb_nothing_is_added_twice(toys: Toys) -> None:
    dying = toys.start(fault="die-before-keep:3")
    await toys.feed(ONES, times=50)
    assert dying.wait(40) == -signal.SIGKILL
    toys.start()
    await toys.feed(ONES, times=10)
    await toys.all_added_once()


async def test_a_commit_without_an_answer_is_not_repeated(toys: Toys) -> None:
    forgetful = toys.start(fault="lose-answer:3")
    for _ in range(10):
        await toys.feed(ONES, times=10)
    await toys.all_added_once()
    assert "cycle lost" in forgetful.log.read_text()


async def test_an_exception_in_an_agent_ends_the_process_before_anything_is_acknowledged(toys: Toys) -> None:
    failing = toys.start(fault="raise")
    await toys.feed({"good": 1})
    await toys.feed({"bad": 13})
    assert failing.wait(40) == EXIT_SOFTWARE
    assert "bad" not in await toys.outputs()
    toys.start()
    await toys.all_added()


async def test_without_group_offsets_the_position_comes_from_the_log(toys: Toys) -> None:
    first = toys.start()
    await toys.feed(ONES, times=20)
    await toys.all_added_once()
    first.stop()
    toys.start(group=f"{toys.settings.app_id}-anew")
    await toys.feed(ONES, times=5)
    await toys.all_added_once()


async def test_state_without_any_position_is_refused(toys: Toys) -> None:
    first = toys.start()
    await toys.feed(ONES)
    await toys.all_added_once()
    first.stop()
    shutil.rmtree(toys.settings.home / "workers" / "1")
    await without_headers(toys)
    refusing = toys.start(group=f"{toys.settings.app_id}-anew")
    assert refusing.wait(40) == EXIT_SOFTWARE
    assert "refusing to start from zero" in refusing.log.read_text()


async def without_headers(toys: Toys) -> None:
    """Put a changelog in place that says nothing of positions, as another program would have written it."""
    name = toys.settings.topic("toy-changelog")
    sums = await toys.outputs("toy-changelog")
    admin = AIOKafkaAdminClient(bootstrap_servers=toys.settings.kafka)
    await admin.start()
    try:
        await admin.delete_topics([name])

        async def created() -> bool:
            answer = await admin.create_topics([NewTopic(name, 4, 1)])
            return all(error[1] == 0 for error in answer.topic_errors)

        await eventually(created, what="the changelog is made anew")
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=toys.settings.kafka, acks="all") as producer:
        for key, values in sums.items():
            await producer.send(name, b"%d" % values[-1], key=key.encode())


@pytest.mark.parametrize("loss", ["deleted", "of an earlier day"])
async def test_a_rocksdb_folder_is_caught_up(toys: Toys, loss: str) -> None:
    folder, kept = toys.settings.home / "workers" / "1" / "tables", toys.settings.home / "earlier"
    first = toys.start()
    await toys.feed(ONES, times=10)
    await toys.all_added_once()
    first.stop()
    shutil.copytree(folder, kept)
    second = toys.start()
    await toys.feed(ONES, times=10)
    await toys.all_added_once()
    second.stop()
    shutil.rmtree(folder)
    if loss == "of an earlier day":
        shutil.copytree(kept, folder)
    toys.start()
    await toys.feed(ONES, times=10)
    await toys.all_added_once()


async def test_workers_come_and_go_under_load(toys: Toys) -> None:
    first = toys.start("1")
    await toys.feed(ONES, times=50)
    second = toys.start("2")
    await toys.feed(ONES, times=50)
    await logged(second, "ready:")
    await toys.feed(ONES, times=50)
    first.stop()
    await toys.feed(ONES, times=50)
    await toys.all_added_once()
    assert first.exit_code == 0


async def test_a_worker_killed_and_back_in_time_disturbs_nobody(toys: Toys) -> None:
    toys.settings = toys.settings.model_copy(update={"session_timeout_ms": 25_000})
    first = toys.start("1")
    second = toys.start("2")
    await toys.feed(ONES, times=50)
    await logged(first, "ready: 2 partitions")
    await logged(second, "ready: 2 partitions")
    generations = first.log.read_text().count("Joined group")
    second.kill()
    second.start()
    await toys.feed(ONES, times=50)
    await toys.all_added_once()
    assert first.log.read_text().count("Joined group") == generations


async def test_a_zombie_commits_nothing(toys: Toys) -> None:
    zombie, other = toys.start("1"), toys.start("2")
    await toys.feed(ONES, times=20)
    await toys.all_added_once()
    zombie.signal(signal.SIGSTOP)
    await toys.feed(ONES, times=50)
    await logged(other, "ready: 4 partitions")
    zombie.signal(signal.SIGCONT)
    await toys.feed(ONES, times=50)
    await toys.all_added_once()
    if zombie.exit_code is not None:
        assert zombie.exit_code == EXIT_SOFTWARE


async def test_more_than_a_batch_to_one_partition_arrives_whole_and_in_order(toys: Toys) -> None:
    await toys.feed({"one": 1}, times=40_000)  # about 1.3 MB to one partition, from a bulk of polls
    toys.start()
    await toys.all_added_once()
