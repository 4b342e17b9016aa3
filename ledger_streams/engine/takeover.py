"""Takeover: what is done for a set of partitions before their first poll.

    stable committed offsets            the last owner is out, or is waited for
    changelog, from RocksDB's position  read committed, up to the high watermark
    source position                     the highest of the three that know it
The three are the group's committed offset, RocksDB, and the header that every
changelog record carries.  Group offsets may have expired; state without any
position is a broken invariant, never a start from zero.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from ledger_streams.engine.filled_log import FILLED_GROUP, log_name
from ledger_streams.engine.kip447 import NO_OFFSET, stable_commits
from ledger_streams.engine.letter_run import noted
from ledger_streams.engine.store import PartitionStore, Position
from ledger_streams.errors import InvariantBroken, Unavailable
from ledger_streams.metrics import RESTORED_RECORDS

log = logging.getLogger(__name__)

RESTORE_RECORDS_MAX = 5_000
"""Records of one poll while restoring."""

FETCH_BYTES_MAX = 16 << 20
SOURCE_HEADER = "source"
"""Header of a changelog record: the source position (next offset) its cycle leads to, in ASCII digits."""


def source_header(topic: str | None) -> str:
    """Return the header with the position in a table's first source (None) or in a further one."""
    return SOURCE_HEADER if topic is None else f"{SOURCE_HEADER}:{topic}"


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
        bootstrap: str,
        group_id: str,
        changelog_topics: Mapping[str, str],
        further_sources: Collection[str] = (),
    ) -> None:
        self._further_sources = frozenset(further_sources)
        """Topics (full names) that feed a table beside its first source, and may never have had a record."""
        self._bootstrap = bootstrap
        self._group_id = group_id
        self._changelog_topics = changelog_topics
        """Full name of the changelog topic of each table."""

    async def run(self, sources: Collection[TP], stores: Mapping[TP, PartitionStore]) -> dict[TP, Reached]:
        """Bring the stores up to the log and return how far each source partition is.

        `stores` maps a source partition to its store, where it has one.  All
        partitions are restored in parallel.  Raises Unavailable while Kafka is away.
        """
        if not sources:
            return {}  # more workers than partitions: this one stands by
        log_ends = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        changelogs = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=FETCH_BYTES_MAX // 4,
            fetch_max_bytes=FETCH_BYTES_MAX,
        )
        try:
            await log_ends.start()
            await changelogs.start()
            committed = await stable_commits(log_ends._client, self._group_id, sources)
            await self._restore(changelogs, log_ends, stores)
            beginnings = await log_ends.beginning_offsets(list(sources))
        except KafkaError as error:
            raise Unavailable(dependency="kafka", detail=repr(error)) from error
        finally:
            await changelogs.stop()
            await log_ends.stop()
        return {
            tp: _reached(
                tp,
                committed[tp],
                stores.get(tp),
                beginning=beginnings[tp],
                is_further=tp.topic in self._further_sources,
            )
            for tp in sources
        }

    async def _restore(
        self, changelogs: AIOKafkaConsumer, log_ends: AIOKafkaConsumer, stores: Mapping[TP, PartitionStore]
    ) -> None:
        """Read each store's changelog from its position to the high watermark of this moment.

        The watermark is asked for by a consumer that reads uncommitted: to the other
        one the log ends where an open transaction begins, and that has to be waited for.
        """
        by_changelog = {self._changelog_of(store): store for store in stores.values()}
        if not by_changelog:
            return
        started = time.monotonic()
        changelogs.assign(list(by_changelog))
        ends = await log_ends.end_offsets(list(by_changelog))
        beginnings = await log_ends.beginning_offsets(list(by_changelog))
        filled = await stable_commits(log_ends._client, f"{self._group_id}{FILLED_GROUP}", by_changelog)
        for tp, store in by_changelog.items():
            store.belong_to(log_name(filled[tp]))
            if store.position.changelog_next > ends[tp]:
                store.wipe()
            changelogs.seek(tp, max(store.position.changelog_next, beginnings[tp]))
        restored = await self._read_to(changelogs, by_changelog, ends)
        log.info(
            "%d table partitions are up to their changelogs: %d records in %.2f s",
            len(by_changelog),
            restored,
            time.monotonic() - started,
        )

    async def _read_to(
        self,
        consumer: AIOKafkaConsumer,
        stores: Mapping[TopicPartition, PartitionStore],
        ends: Mapping[TopicPartition, int],
    ) -> int:
        """Apply records until each *position* is at its end: the last offset may be a transaction marker."""
        restored = 0
        behind = set(stores)
        while behind:
            polled = await consumer.getmany(timeout_ms=100, max_records=RESTORE_RECORDS_MAX)
            for tp in list(behind):
                records = polled.get(tp, ())
                changelog_next = await consumer.position(tp)
                if records or changelog_next > stores[tp].position.changelog_next:
                    _apply(stores[tp], records, changelog_next)
                restored += len(records)
                RESTORED_RECORDS.labels(stores[tp].spec.name).inc(len(records))
                if changelog_next >= ends[tp]:
                    behind.discard(tp)
                    consumer.pause(tp)
        return restored

    def _changelog_of(self, store: PartitionStore) -> TopicPartition:
        return TopicPartition(self._changelog_topics[store.spec.name], store.partition)


def _apply(store: PartitionStore, records: Sequence[Any], changelog_next: int) -> None:
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


def _reached(
    tp: TP, commit: OffsetAndMetadata, store: PartitionStore | None, *, beginning: int, is_further: bool
) -> Reached:
    known = [] if commit.offset == NO_OFFSET else [commit.offset]
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
