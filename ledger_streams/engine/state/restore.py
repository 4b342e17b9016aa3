"""Restore: applies the records of a changelog to its store.

A store gets committed records only, in order; records and position are written in one batch.  The headers
of the records carry the source offsets, which never go back.  A record without them was not written by a
worker's cycle and is ignored.  Takeover and standby use the same functions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams.engine.state.log_generation import GENERATION_GROUP, generation_of
from ledger_streams.engine.state.store import PartitionStore, Position
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.fenced_offsets import stable_commits
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import CHANGELOG_FOREIGN_RECORDS

log = logging.getLogger(__name__)

FETCH_BYTES_MAX: Final = 16 << 20
SOURCE_HEADER: Final = "source"
"""Header of a changelog record: the source offset behind its cycle, in ASCII digits."""

Stores = Mapping[TopicPartition, PartitionStore]
"""Stores by their changelog partition."""


def source_header(topic: str | None) -> str:
    """Return the name of the header for a table's first source (None) or for a further one."""
    return SOURCE_HEADER if topic is None else f"{SOURCE_HEADER}:{topic}"


def changelog_reader(bootstrap: Bootstrap, *, fetch_wait_ms: int, fetch_bytes_max: int) -> AIOKafkaConsumer:
    """Return a consumer of committed records without a group, not yet started."""
    return log_reader(
        bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=fetch_wait_ms,
        max_partition_fetch_bytes=fetch_bytes_max // 4,
        fetch_max_bytes=fetch_bytes_max,
    )


async def seek_stores(
    changelogs: AIOKafkaConsumer, log_ends: AIOKafkaConsumer, stores: Stores, *, group_id: str
) -> dict[TopicPartition, int]:
    """Seek each store's changelog to the store's position; return the current high watermarks.

    `log_ends` reads uncommitted, so its end is the high watermark.  For `changelogs` the log ends
    where an open transaction begins, and a restore has to wait for that transaction.  A store
    beyond the watermark, or of another log generation, belongs to another log and is emptied.

    Raises:
        InvariantBroken: a store beyond the end has states, and its changelog has no record left.
            The topic was lost, so the store is the only copy and is not emptied.
    """
    ends: dict[TopicPartition, int] = await log_ends.end_offsets(list(stores))
    beginnings = await log_ends.beginning_offsets(list(stores))
    filled = await stable_commits(client_of(log_ends), f"{group_id}{GENERATION_GROUP}", stores)
    for tp, store in stores.items():
        store.bind_to_log(generation_of(filled[tp]))
    beyond = [tp for tp, store in stores.items() if store.position.changelog_next > ends[tp]]
    for tp in beyond:
        if not stores[tp].is_empty() and not await _has_records(changelogs, tp, beginnings[tp], ends[tp]):
            raise InvariantBroken(
                f"{tp.topic}[{tp.partition}] has lost all records, its table has not: refusing to empty it. "
                "See RUNBOOK.md, A lost Kafka"
            )
    for tp in beyond:
        stores[tp].wipe()
    changelogs.assign(list(stores))
    for tp, store in stores.items():
        changelogs.seek(tp, max(store.position.changelog_next, beginnings[tp]))
    return ends


async def _has_records(changelogs: AIOKafkaConsumer, tp: TopicPartition, beginning: int, end: int) -> bool:
    """Return whether a partition has a committed record; its offsets may be of markers alone."""
    changelogs.assign([tp])
    changelogs.seek(tp, beginning)
    while await changelogs.position(tp) < end:
        if await changelogs.getmany(tp, timeout_ms=100):
            return True
    return False


def apply_records(store: PartitionStore, records: Sequence[Any], changelog_next: int) -> None:
    """Apply records of the store's changelog; the next record is at `changelog_next`."""
    records = _of_cycles(store, records)
    last = {record.key: record.value for record in records}  # the last value of each key
    pairs = {key: store.spec.stored_form(value) for key, value in last.items()}
    source_next, further = store.position.source_next, dict(store.position.further)
    for name, value in {header for record in records for header in record.headers}:  # equal for a whole cycle
        if name == SOURCE_HEADER:
            source_next = max(source_next or 0, int(value))
        elif name.startswith(f"{SOURCE_HEADER}:"):
            topic = name.removeprefix(f"{SOURCE_HEADER}:")
            further[topic] = max(further.get(topic, 0), int(value))
    store.restore(pairs, Position(changelog_next, source_next, further))


def _of_cycles(store: PartitionStore, records: Sequence[Any]) -> Sequence[Any]:
    """Return the records written by workers' cycles: those with the first source's offset.

    If neither the store nor any record has one, the log has lost its headers.  Then all records
    are applied, and the takeover refuses to start from zero.
    """
    kinds = {record.headers for record in records}  # equal for a whole cycle
    own = {headers for headers in kinds if any(name == SOURCE_HEADER for name, _ in headers)}
    if len(own) == len(kinds) or (not own and store.position.source_next is None):
        return records
    for record in records:
        if record.headers not in own:
            CHANGELOG_FOREIGN_RECORDS.labels(store.spec.name).inc()
            log.error(
                "%s[%d]@%d has no source offset, so no worker wrote it: ignored for the table %s",
                store.spec.changelog,
                record.partition,
                record.offset,
                store.spec.name,
            )
    return [record for record in records if record.headers in own]
