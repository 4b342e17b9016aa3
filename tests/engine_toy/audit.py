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

from ledger_streams.engine.cycles import SOURCE_HEADER
from ledger_streams.engine.store import PartitionStore
from ledger_streams.settings import Settings
from tests.engine_toy.__main__ import PARTITIONS, SUMS

Sums = list[tuple[bytes, int]]
Log = dict[int, list[Any]]
"""Committed records by partition, in order."""


async def audit(settings: Settings) -> None:
    """Compare everything; the toys of these settings have ended and nothing is left to be carried out."""
    fed, out, changelog = [await committed(settings, name) for name in ("toy-in", "toy-out", "toy-changelog")]
    for partition in range(PARTITIONS):
        expected = running_sums(fed[partition])
        assert pairs(out[partition]) == expected, f"toy-out {partition} is not what was fed, once and in order"
        assert pairs(changelog[partition]) == expected, f"toy-changelog {partition} is not what came out"
    for folder in tables(settings):
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


def tables(settings: Settings) -> list[Path]:
    """Return the folders of all workers' partitions."""
    return sorted((settings.home / "workers").glob("*/tables/sums/*"))


def check_table(folder: Path, changelog: Sequence[Any]) -> None:
    """Check that RocksDB holds the changelog's states up to its position, and the source position of there."""
    store = PartitionStore(folder.parents[1], SUMS, int(folder.name))
    try:
        held, position = dict(store.items()), store.position
    finally:
        store.close()
    known = [record for record in changelog if record.offset < position.changelog_next]
    assert held == {record.key: record.value for record in known}, f"{folder} is not the log up to {position}"
    sources = [int(value) for record in known for name, value in record.headers if name == SOURCE_HEADER]
    assert position.source_next == max(sources, default=None), f"{folder} has another source position"


async def committed(settings: Settings, topic: str) -> Log:
    """Return what a reader of committed records sees of a topic, up to its end."""
    partitions = [TopicPartition(settings.topic(topic), number) for number in range(PARTITIONS)]
    found: Log = {tp.partition: [] for tp in partitions}
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, isolation_level="read_committed", enable_auto_commit=False
    ) as consumer:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)  # up to the first open transaction
        await consumer.seek_to_beginning(*partitions)
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                found[tp.partition] += records
    return found
