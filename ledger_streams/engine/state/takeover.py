"""Takeover: what is done for a set of partitions before their first poll.

    stable committed offsets            the last owner is out, or is waited for
    changelog, from RocksDB's position  read committed, up to the high watermark
    source position                     the highest of those that know it
They are the group's committed offset, RocksDB, the header that every changelog record carries,
and for agents without a table the position log.  Group offsets may have expired, or be old; state
without any position is a broken invariant, never a start from zero.
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
from ledger_streams.engine.dlq_limit import noted
from ledger_streams.engine.state.restore import (
    FETCH_BYTES_MAX,
    Stores,
    changelog_reader,
    restore,
    seek_stores,
)
from ledger_streams.engine.state.source_offset_log import PositionLogs
from ledger_streams.engine.state.store import PartitionStore
from ledger_streams.engine.state.takeover_progress import Phases
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.kafka.client_options import Bootstrap
from ledger_streams.kafka.fenced_offsets import NO_OFFSET, stable_commits
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.metrics import RESTORED_RECORDS

log = logging.getLogger(__name__)

RESTORE_RECORDS_MAX = 5_000
"""Records of one poll while restoring."""

FETCH_WAIT_MS = 50


class Reached(NamedTuple):
    """How far a source partition has been carried out."""

    source_next: int
    letters_in_a_row: int
    """Dead letters at the end of that; they are known from the group's offset, if that is the position."""


class Takeover:
    """Reads positions and changelogs in the name of one consumer group."""

    def __init__(
        self,
        *,
        bootstrap: Bootstrap,
        group_id: str,
        changelog_topics: Mapping[str, str],
        further_sources: Collection[str] = (),
        position_logs: PositionLogs | None = None,
    ) -> None:
        self._position_logs = position_logs or PositionLogs()
        self._further_sources = frozenset(further_sources)
        """Topics (full names) that feed a table beside its first source, and may never have had a record."""
        self._bootstrap = bootstrap
        self._group_id = group_id
        self._changelog_topics = changelog_topics
        """Full name of the changelog topic of each table."""

    async def run(
        self, sources: Collection[TP], stores: Mapping[TP, PartitionStore], phases: Phases
    ) -> dict[TP, Reached]:
        """Bring the stores up to the log and return how far each source partition is.

        `stores` maps a source partition to its store, where it has one.  All
        partitions are restored in parallel.  Raises Unavailable while Kafka is away.
        """
        if not sources:
            return {}  # more workers than partitions: this one stands by
        topics = self._changelog_topics.values()
        log_ends = log_reader(self._bootstrap)
        size = FETCH_BYTES_MAX
        changelogs = changelog_reader(self._bootstrap, fetch_wait_ms=FETCH_WAIT_MS, fetch_bytes_max=size)
        try:
            phases.enter("commits")
            await log_ends.start()
            await changelogs.start()
            # all leaders at once: each topic that is first heard of in a question costs 100 ms
            await client_of(log_ends).set_topics({tp.topic for tp in sources}.union(topics))
            committed = await stable_commits(client_of(log_ends), self._group_id, sources)
            logged = await self._position_logs.read(changelogs, log_ends, sources)
            phases.enter("restore")
            await self._restore(changelogs, log_ends, stores, phases)
            beginnings = await log_ends.beginning_offsets(list(sources))
        except KafkaError as error:
            raise Unavailable(dependency="kafka", detail=repr(error)) from error
        finally:
            await close_within("the takeover's reader", changelogs.stop())
            await close_within("the takeover's reader of ends", log_ends.stop())
        return {
            tp: _reached(
                tp,
                Said(committed[tp], logged.get(tp), beginnings[tp]),
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
        phases: Phases,
    ) -> None:
        """Read each store's changelog from its position to the high watermark of this moment."""
        by_changelog = {self._changelog_of(store): store for store in stores.values()}
        if not by_changelog:
            return
        started = time.monotonic()
        ends = await seek_stores(changelogs, log_ends, by_changelog, group_id=self._group_id)
        phases.begin_reading(
            {store.place: ends[tp] - await changelogs.position(tp) for tp, store in by_changelog.items()}
        )
        restored = await self._read_to(changelogs, by_changelog, ends, phases)
        log.info(
            "%d table partitions are up to their changelogs: %d records in %.2f s",
            len(by_changelog),
            restored,
            time.monotonic() - started,
        )

    async def _read_to(
        self, consumer: AIOKafkaConsumer, stores: Stores, ends: Mapping[TopicPartition, int], phases: Phases
    ) -> int:
        """Apply records until each *position* is at its end: the last offset may be a transaction marker."""
        restored = 0
        behind = set(stores)
        while behind:
            polled = await consumer.getmany(timeout_ms=100, max_records=RESTORE_RECORDS_MAX)
            for tp in list(behind):
                store, records = stores[tp], polled.get(tp, ())
                changelog_next = await consumer.position(tp)
                if records or changelog_next > store.position.changelog_next:
                    restore(store, records, changelog_next)
                restored += len(records)
                RESTORED_RECORDS.labels(store.spec.name).inc(len(records))
                phases.read(store.place, left=ends[tp] - changelog_next)
                if changelog_next >= ends[tp]:
                    behind.discard(tp)
                    consumer.pause(tp)
            phases.say()
        return restored

    def _changelog_of(self, store: PartitionStore) -> TopicPartition:
        return TopicPartition(self._changelog_topics[store.spec.name], store.partition)


class Said(NamedTuple):
    """What Kafka says of a source partition."""

    commit: OffsetAndMetadata
    """The group's."""
    logged: int | None
    """The last position of its log; None without one."""
    beginning: int


def _reached(tp: TP, said: Said, store: PartitionStore | None, *, is_further: bool) -> Reached:
    commit, logged, beginning = said
    known = [offset for offset in (commit.offset, logged) if offset not in (NO_OFFSET, None)]
    if store is not None and is_further:
        known.append(store.position.further.get(tp.topic, beginning))
    elif store is not None:
        if store.position.source_next is not None:
            known.append(store.position.source_next)
        elif not known and not store.is_empty():
            raise InvariantBroken(f"{tp} has states and no position: refusing to start from zero")
    position = max(known, default=beginning)
    if position < beginning:
        raise InvariantBroken(f"{tp}: records {position} to {beginning} were deleted unread")
    return Reached(position, noted(commit.metadata) if position == commit.offset else 0)
