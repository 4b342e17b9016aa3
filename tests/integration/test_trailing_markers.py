"""Idle partitions that end in markers: positions move past them, so what retention deletes was read.

Retention is stood in for by DeleteRecords, which moves the beginning of a log in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from ledger_streams import topics
from ledger_streams.kafka.fenced_offsets import stable_commits
from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet, pay, transfer
from tests.engine_app.faults import PARTITIONS
from tests.engine_app.harness import EngineWorkers, said
from tests.live import eventually, running

ONES = {f"key-{number}": 1 for number in range(20)}
Ends = Mapping[TopicPartition, int]


async def ends_of(settings: Settings, *names: str, partitions: int | None = None) -> Ends:
    """Return the high watermarks of these topics."""
    counts = {name: partitions or topics.spec(name).partitions for name in names}
    found = [TopicPartition(settings.topic(name), n) for name, count in counts.items() for n in range(count)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False) as consumer:
        ends: Ends = await consumer.end_offsets(found)
        return ends


async def commits_of(settings: Settings, partitions: Ends) -> Mapping[TopicPartition, int]:
    """Return the group's offsets."""
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False) as consumer:
        commits = await stable_commits(consumer._client, settings.app_id, partitions)
    return {tp: commit.offset for tp, commit in commits.items()}


async def delete_all(settings: Settings, ends: Ends) -> None:
    """Delete whole partitions, as retention does once their last records are old enough."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.delete_records({tp: RecordsToDelete(end) for tp, end in ends.items()})
    finally:
        await admin.close()


async def send_in_transactions(workers: EngineWorkers, *, is_aborted: bool = False) -> None:
    """Feed ones as a worker writes: each partition ends in a marker."""
    settings = workers.settings
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.app_id}-outside"
    ) as outside:
        await outside.begin_transaction()
        for key in ONES:
            await outside.send_and_wait(settings.topic("toy-in"), b"1", key=key.encode())
        await (outside.abort_transaction() if is_aborted else outside.commit_transaction())
    if not is_aborted:
        workers.fed.update(ONES)


async def test_a_worker_that_was_idle_goes_on_after_its_records_were_deleted(workers: EngineWorkers) -> None:
    toy = workers.start()
    await said(toy, "ready: 4 partitions")
    await send_in_transactions(workers)
    await send_in_transactions(workers, is_aborted=True)
    await workers.all_added()
    ends = await ends_of(workers.settings, "toy-in", partitions=PARTITIONS)

    async def are_committed() -> bool:
        return await commits_of(workers.settings, ends) == ends

    await eventually(are_committed, what="the markers are passed")
    toy.kill()
    await delete_all(workers.settings, ends)
    toy = workers.start()
    await said(toy, "ready: 4 partitions", times=2)
    await workers.feed(ONES)
    assert await workers.all_added() == {key: [1, 2] for key in ONES}


async def test_a_projector_that_was_idle_goes_on_after_its_records_were_deleted(migrated: Settings) -> None:
    async with running(migrated, workers=1) as live:
        ada, bob = await open_wallet(live, funds="100.00"), await open_wallet(live)
        for _ in range(5):
            assert (await pay(live, transfer(ada, bob)))["status"] == "completed"
        names = (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS)
        ends = await ends_of(migrated, *names)
        written = {tp: end for tp, end in ends.items() if end}

        async def are_passed() -> bool:
            rows: list[Any] = await live.rows(
                "SELECT topic, partition, next_offset FROM projection_positions"
            )
            kept = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            return all(kept.get(tp) == end for tp, end in written.items())

        await eventually(are_passed, what="the markers are passed")
        projector, worker = live.processes["projector-1"], live.processes["worker-1"]

        async def is_committed() -> bool:
            commits = await commits_of(migrated, written)
            return commits == written

        await eventually(is_committed, what="the worker has passed them too")
        projector.kill()
        worker.kill()
        await delete_all(migrated, written)
        await live.document("replay", "projections")
        projector.start()
        worker.start()
        await live.ready()
        assert (await pay(live, transfer(bob, ada)))["status"] == "completed"
        assert projector.exit_code is None, projector.tail()
        assert (await live.command("reconcile", "--rocksdb"))[0] == 0
