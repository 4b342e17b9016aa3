"""Audit: what a group of toys has left behind, compared with what it was fed.

    toy-out, toy-changelog   the running sums of toy-in, partition by partition, in order
    each RocksDB             the changelog as far as its position says, and nothing else
So a record carried out twice, never, or out of order is found, and so is a table that
holds what the log does not.  No toy may be running: their tables are opened.
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
    """Compare everything; the toys of these settings have ended and nothing is left to be carried out."""
    await audit_outputs(settings)
    await audit_outputs(settings, topic="toy-changelog")
    await audit_tables(settings)


async def audit_outputs(settings: Settings, *, topic: str = "toy-out") -> None:
    """Compare a topic with what was fed."""
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
    """Return the sum of each record's key after it."""
    sums: dict[bytes, int] = defaultdict(int)
    running: Sums = []
    for record in records:
        sums[record.key] += int(record.value)
        running.append((record.key, sums[record.key]))
    return running


def pairs(records: Sequence[Any]) -> Sums:
    """Return keys and sums as they came out."""
    return [(record.key, int(record.value)) for record in records]


def last_of_each_key(log: Log) -> Log:
    """Return what compaction would leave of a log."""
    return {
        partition: sorted({record.key: record for record in records}.values(), key=lambda r: int(r.offset))
        for partition, records in log.items()
    }


def check_table(folder: Path, changelog: Sequence[Any]) -> None:
    """Check that RocksDB holds the changelog up to its position, and the source position of there."""
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
    """Return the highest position that the headers of changelog records tell, by header."""
    told: dict[str, int] = {}
    for record in records:
        for name, value in record.headers:
            told[name] = max(told.get(name, 0), int(value))
    return told


async def committed(settings: Settings, topic: str, *, partitions: int = PARTITIONS) -> Log:
    """Return what a reader of committed records sees of a topic, up to its end.

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
