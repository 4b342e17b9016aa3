"""Audit: compares the outputs and tables of a group of workers with its inputs.

    toy-out, toy-changelog   the running sums of toy-in, partition by partition, in order
    each RocksDB             the changelog up to the store's position, and nothing else
It finds records carried out twice, never or out of order, and states that the log does not have.  All
workers have to be stopped, because it opens their tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams.engine.state.restore import source_header
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.settings import Settings
from tests.engine_app.__main__ import SUMS
from tests.engine_app.faults import PARTITIONS

Sums = list[tuple[bytes, int]]
Log = dict[int, list[Any]]
"""Committed records by partition, in order."""


async def audit(settings: Settings) -> None:
    """Compare outputs, changelog and tables; all workers are stopped and no record is left."""
    await audit_outputs(settings)
    await audit_outputs(settings, topic="toy-changelog")
    await audit_tables(settings)


async def audit_outputs(settings: Settings, *, topic: str = "toy-out") -> None:
    """Compare a topic with the running sums of toy-in."""
    fed, out = await committed(settings, "toy-in"), await committed(settings, topic)
    for partition in range(PARTITIONS):
        assert pairs(out[partition]) == running_sums(fed[partition]), f"{topic} {partition} is another sum"


async def audit_tables(settings: Settings) -> None:
    """Compare the tables of all workers with the changelog."""
    changelog = await committed(settings, "toy-changelog")
    folders = sorted((settings.home / "workers").glob("*/tables/sums/*"))
    assert folders, "nobody has a table"
    for folder in folders:
        check_table(folder, changelog[int(folder.name)])


def running_sums(records: Sequence[Any]) -> Sums:
    """Return each record's key with its sum behind the record."""
    sums: dict[bytes, int] = defaultdict(int)
    running: Sums = []
    for record in records:
        sums[record.key] += int(record.value)
        running.append((record.key, sums[record.key]))
    return running


def pairs(records: Sequence[Any]) -> Sums:
    """Return keys and sums of the output records, in order."""
    return [(record.key, int(record.value)) for record in records]


def last_of_each_key(log: Log) -> Log:
    """Return the records that compaction leaves of a log."""
    return {
        partition: sorted({record.key: record for record in records}.values(), key=lambda r: int(r.offset))
        for partition, records in log.items()
    }


def check_table(folder: Path, changelog: Sequence[Any]) -> None:
    """Check that RocksDB has the changelog up to its position, and the source offset of that position."""
    store = PartitionStore(folder.parents[1], SUMS, int(folder.name))
    try:
        held, position = dict(store.items()), store.position
    finally:
        store.close()
    known = [record for record in changelog if record.offset < position.changelog_next]
    assert held == {record.key: record.value for record in known}, f"{folder} is not the log up to {position}"
    told = highest_of_each_header(known)
    kept = {source_header(topic): next_ for topic, next_ in position.further.items()}
    if position.source_next is not None:
        kept[source_header(None)] = position.source_next
    assert kept == told, f"{folder} has other source positions"


def highest_of_each_header(records: Sequence[Any]) -> dict[str, int]:
    """Return the highest source offset in the headers of changelog records, by header."""
    told: dict[str, int] = {}
    for record in records:
        for name, value in record.headers:
            told[name] = max(told.get(name, 0), int(value))
    return told


async def committed(settings: Settings, topic: str, *, partitions: int = PARTITIONS) -> Log:
    """Return the committed records of a topic by partition, up to its end.

    The end is the high watermark: to a reader of committed records a log ends where a
    transaction is open or its markers are still being written, and that is waited for.
    """
    of_topic = [TopicPartition(settings.topic(topic), number) for number in range(partitions)]
    found: Log = {tp.partition: [] for tp in of_topic}
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False) as consumer:
        ends = await consumer.end_offsets(of_topic)
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign(of_topic)
        await consumer.seek_to_beginning(*of_topic)
        while any([await consumer.position(tp) < ends[tp] for tp in of_topic]):
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                found[tp.partition] += records
    return found
