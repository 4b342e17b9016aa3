"""Takeover: reads source offsets and restores tables before the first poll of assigned partitions.

    committed offsets  read as stable: waits for open transactions of the last owner
    changelogs         read committed, from RocksDB's position to the high watermark
    source offset      the highest offset known for each source partition
Sources of the offset: the group's committed offset, RocksDB, the headers of changelog records and, for
agents without a table, the source offset log.  Group offsets may have expired, or be too old.  A table with
states but without any source offset is a broken invariant, never a start from zero.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from ledger_streams.bounded_close import close_within
from ledger_streams.engine.dlq_limit import decode_offset_metadata
from ledger_streams.engine.state.restore import (
    FETCH_BYTES_MAX,
    Stores,
    apply_records,
    changelog_reader,
    seek_stores,
)
from ledger_streams.engine.state.source_offset_log import SourceOffsetLogs
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.takeover_progress import TakeoverProgress
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.fenced_offsets import NO_OFFSET, stable_commits
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import RESTORED_RECORDS

log = logging.getLogger(__name__)

RESTORE_RECORDS_MAX = 5_000
"""Records of one poll while restoring."""

FETCH_WAIT_MS = 50


class SourceProgress(NamedTuple):
    """How far a source partition has been carried out."""

    source_next: int
    consecutive_dead_letters: int
    """Consecutive dead letters at that offset; 0 unless it is the group's, whose metadata has the count."""


class Takeover:
    """Reads source offsets and changelogs for one consumer group."""

    def __init__(
        self,
        *,
        bootstrap: Bootstrap,
        group_id: str,
        changelog_topics: Mapping[str, str],
        further_sources: Collection[str] = (),
        source_offset_logs: SourceOffsetLogs | None = None,
    ) -> None:
        self._source_offset_logs = source_offset_logs or SourceOffsetLogs()
        self._further_sources = frozenset(further_sources)
        """Topics (full names) that feed a table beside its first source; they may never have had a record."""
        self._bootstrap = bootstrap
        self._group_id = group_id
        self._changelog_topics = changelog_topics
        """Full name of the changelog topic of each table."""

    async def run(
        self, sources: Collection[TP], stores: Mapping[TP, PartitionStore], progress: TakeoverProgress
    ) -> dict[TP, SourceProgress]:
        """Restore the stores in parallel and return the progress of each source partition.

        `stores` has the store of each source partition with a table.  Raises Unavailable while
        Kafka is away, InvariantBroken if a source offset is unknown or its records were deleted.
        """
        if not sources:
            return {}  # more workers than partitions
        topics = self._changelog_topics.values()
        log_ends = log_reader(self._bootstrap)
        size = FETCH_BYTES_MAX
        changelogs = changelog_reader(self._bootstrap, fetch_wait_ms=FETCH_WAIT_MS, fetch_bytes_max=size)
        try:
            progress.enter("commits")
            await log_ends.start()
            await changelogs.start()
            # One metadata request for all topics: each topic first seen in another request costs 100 ms.
            await client_of(log_ends).set_topics({tp.topic for tp in sources}.union(topics))
            committed = await stable_commits(client_of(log_ends), self._group_id, sources)
            logged = await self._source_offset_logs.read(changelogs, log_ends, sources)
            progress.enter("restore")
            await self._restore(changelogs, log_ends, stores, progress)
            beginnings = await log_ends.beginning_offsets(list(sources))
        except KafkaError as error:
            raise Unavailable(dependency="kafka", detail=repr(error)) from error
        finally:
            await close_within("the takeover's reader", changelogs.stop())
            await close_within("the takeover's reader of ends", log_ends.stop())
        return {
            tp: _source_progress(
                tp,
                KnownOffsets(committed[tp], logged.get(tp), beginnings[tp]),
                stores.get(tp),
                is_further=tp.topic in self._further_sources,
            )
            for tp in sources
        }

    async def _restore(
        self,
        changelogs: AIOKafkaConsumer,
        log_ends: AIOKafkaConsumer,
        stores: Mapping[TP, PartitionStore],
        progress: TakeoverProgress,
    ) -> None:
        """Apply each store's changelog from its position to the current high watermark."""
        by_changelog = {self._changelog_of(store): store for store in stores.values()}
        if not by_changelog:
            return
        started = time.monotonic()
        ends = await seek_stores(changelogs, log_ends, by_changelog, group_id=self._group_id)
        progress.begin_restore(
            {store.place: ends[tp] - await changelogs.position(tp) for tp, store in by_changelog.items()}
        )
        restored = await self._read_to(changelogs, by_changelog, ends, progress)
        log.info(
            "%d table partitions are up to their changelogs: %d records in %.2f s",
            len(by_changelog),
            restored,
            time.monotonic() - started,
        )

    async def _read_to(
        self,
        consumer: AIOKafkaConsumer,
        stores: Stores,
        ends: Mapping[TopicPartition, int],
        progress: TakeoverProgress,
    ) -> int:
        """Apply records until each *position* reaches its end; the last offset may be a marker's."""
        restored = 0
        behind = set(stores)
        while behind:
            polled = await consumer.getmany(timeout_ms=100, max_records=RESTORE_RECORDS_MAX)
            for tp in list(behind):
                store, records = stores[tp], polled.get(tp, ())
                changelog_next = await consumer.position(tp)
                if records or changelog_next > store.position.changelog_next:
                    apply_records(store, records, changelog_next)
                restored += len(records)
                RESTORED_RECORDS.labels(store.spec.name).inc(len(records))
                progress.set_left(store.place, left=ends[tp] - changelog_next)
                if changelog_next >= ends[tp]:
                    behind.discard(tp)
                    consumer.pause(tp)
            progress.report()
        return restored

    def _changelog_of(self, store: PartitionStore) -> TopicPartition:
        return TopicPartition(self._changelog_topics[store.spec.name], store.partition)


class KnownOffsets(NamedTuple):
    """The offsets that Kafka knows of a source partition."""

    commit: OffsetAndMetadata
    """The group's committed offset, with its metadata."""
    logged: int | None
    """The last source offset in its source offset log; None without one."""
    beginning: int


def _source_progress(
    tp: TP, offsets: KnownOffsets, store: PartitionStore | None, *, is_further: bool
) -> SourceProgress:
    commit, logged, beginning = offsets
    known = [offset for offset in (commit.offset, logged) if offset not in (NO_OFFSET, None)]
    if store is not None and is_further:
        known.append(store.position.further.get(tp.topic, beginning))
    elif store is not None:
        if store.position.source_next is not None:
            known.append(store.position.source_next)
        elif not known and not store.is_empty():
            raise InvariantBroken(
                f"the table of {tp} has states, but no source offset is known: refusing to start from zero"
            )
    position = max(known, default=beginning)
    if position < beginning:
        raise InvariantBroken(
            f"{tp}: records {position} to {beginning} were deleted unread; the group was away "
            "for longer than the topic's retention"
        )
    return SourceProgress(
        position, decode_offset_metadata(commit.metadata) if position == commit.offset else 0
    )
