"""Restoring: what a changelog says, into the store that it belongs to.

A store gets committed records only, in order, and with them the position behind them, in
one batch.  The position of a source comes with the records, as headers; it never goes back.
A record without one was written by no cycle: it is left out, whatever it says.
Who takes partitions over and who stands by read with the same functions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams.engine.state.log_generation import FILLED_GROUP, log_name
from ledger_streams.engine.state.store import PartitionStore, Position
from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.fenced_offsets import stable_commits
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import CHANGELOG_FOREIGN_RECORDS

log = logging.getLogger(__name__)

FETCH_BYTES_MAX: Final = 16 << 20
SOURCE_HEADER: Final = "source"
"""Header of a changelog record: the source position (next offset) its cycle leads to, in ASCII digits."""

Stores = Mapping[TopicPartition, PartitionStore]
"""By the partition of the changelog."""


def source_header(topic: str | None) -> str:
    """Return the header with the position in a table's first source (None) or in a further one."""
    return SOURCE_HEADER if topic is None else f"{SOURCE_HEADER}:{topic}"


def changelog_reader(bootstrap: Bootstrap, *, fetch_wait_ms: int, fetch_bytes_max: int) -> AIOKafkaConsumer:
    """Return a reader of committed records, in no group, not yet started."""
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
    """Have each store's changelog read on from its position; return the high watermarks of this moment.

    The watermark is asked for by a consumer that reads uncommitted: to the other
    one the log ends where an open transaction begins, and that has to be waited for.
    A store beyond it, or of a log with another name, belongs to another log, and is emptied.

    Raises:
        InvariantBroken: a store beyond the end has states, and its changelog no record at all:
            the topic is lost, and what is left of it is kept.
    """
    ends: dict[TopicPartition, int] = await log_ends.end_offsets(list(stores))
    beginnings = await log_ends.beginning_offsets(list(stores))
    filled = await stable_commits(client_of(log_ends), f"{group_id}{FILLED_GROUP}", stores)
    for tp, store in stores.items():
        store.belong_to(log_name(filled[tp]))
    beyond = [tp for tp, store in stores.items() if store.position.changelog_next > ends[tp]]
    for tp in beyond:
        if not stores[tp].is_empty() and not await _has_records(changelogs, tp, beginnings[tp], ends[tp]):
            raise InvariantBroken(
                f"{tp.topic}[{tp.partition}] has lost all records, its table has not: refusing to empty it"
            )
    for tp in beyond:
        stores[tp].wipe()
    changelogs.assign(list(stores))
    for tp, store in stores.items():
        changelogs.seek(tp, max(store.position.changelog_next, beginnings[tp]))
    return ends


async def _has_records(changelogs: AIOKafkaConsumer, tp: TopicPartition, beginning: int, end: int) -> bool:
    """Tell whether a committed record is in a partition; offsets alone may be those of markers."""
    changelogs.assign([tp])
    changelogs.seek(tp, beginning)
    while await changelogs.position(tp) < end:
        if await changelogs.getmany(tp, timeout_ms=100):
            return True
    return False


def restore(store: PartitionStore, records: Sequence[Any], changelog_next: int) -> None:
    """Write what these records of the store's changelog say; the next one is at `changelog_next`."""
    records = _of_cycles(store, records)
    last = {record.key: record.value for record in records}  # of a state that moved often, only how it ended
    pairs = {key: store.spec.stored_form(value) for key, value in last.items()}
    source_next, further = store.position.source_next, dict(store.position.further)
    for name, value in {header for record in records for header in record.headers}:  # a cycle's are the same
        if name == SOURCE_HEADER:
            source_next = max(source_next or 0, int(value))
        elif name.startswith(f"{SOURCE_HEADER}:"):
            topic = name.removeprefix(f"{SOURCE_HEADER}:")
            further[topic] = max(further.get(topic, 0), int(value))
    store.restore(pairs, Position(changelog_next, source_next, further))


def _of_cycles(store: PartitionStore, records: Sequence[Any]) -> Sequence[Any]:
    """Return the records that a worker's cycle wrote: each has the position of its table's first source.

    Where no position is known at all, the log has lost its headers: its states are
    kept, and the takeover refuses to start from zero.
    """
    kinds = {record.headers for record in records}  # a cycle's are the same
    own = {headers for headers in kinds if any(name == SOURCE_HEADER for name, _ in headers)}
    if len(own) == len(kinds) or (not own and store.position.source_next is None):
        return records
    for record in records:
        if record.headers not in own:
            CHANGELOG_FOREIGN_RECORDS.labels(store.spec.name).inc()
            log.error(
                "%s[%d]@%d was written by no worker: it is left out of the table %s",
                store.spec.changelog,
                record.partition,
                record.offset,
                store.spec.name,
            )
    return [record for record in records if record.headers in own]
