"""A worker's RocksDB in the model: an immutable value, moved by the engine's own functions.

The engine's own functions `restore.apply_records` and `takeover._source_progress` decide, on a store in
memory, which states a changelog restores and from which offset a partition is read.
A state is the outputs that led to it, in order, so that a state that misses one shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, cast

from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from ledger_streams.engine.state.restore import apply_records, source_header
from ledger_streams.engine.state.store import PartitionStore, Position, TableSpec
from ledger_streams.engine.state.takeover import KnownOffsets, _source_progress
from ledger_streams.kafka.fenced_offsets import NO_OFFSET
from tests.model.takeover.broker import Entry

SOURCE = TP("source", 0)
KEY = b"key"


class Rocks(NamedTuple):
    """Content of RocksDB: the state, and the position that was written with it."""

    state: bytes = b""
    changelog_next: int = 0
    source_next: int | None = None


class _Logged(NamedTuple):
    """A changelog record, as much of it as a takeover reads."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    partition: int = 0
    offset: int = 0


class MemoryStore:
    """A partition's store as the takeover uses it, in memory."""

    spec: TableSpec[Any] = TableSpec(
        name="table",
        help="",
        source=SOURCE.topic,
        changelog="changelog",
        encode=bytes,
        decode=bytes,
        stored_form=bytes,
    )

    def __init__(self, rocks: Rocks) -> None:
        self.pairs = {KEY: rocks.state} if rocks.state else {}
        self.position = Position(rocks.changelog_next, rocks.source_next)

    def restore(self, pairs: Mapping[bytes, bytes], position: Position) -> None:
        self.pairs |= pairs
        self.position = position

    def is_empty(self) -> bool:
        return not self.pairs

    def rocks(self) -> Rocks:
        position = self.position
        return Rocks(self.pairs.get(KEY, b""), position.changelog_next, position.source_next)


@cache
def restored(
    rocks: Rocks, entries: tuple[Entry, ...], changelog_next: int, *, has_header: bool = True
) -> Rocks:
    """Return what RocksDB holds after a takeover has read these entries, up to that offset."""
    records = [
        _Logged(KEY, entry.state, ((source_header(None), b"%d" % entry.source_next),) if has_header else ())
        for entry in entries
    ]
    store = MemoryStore(rocks)
    apply_records(cast(PartitionStore, store), records, changelog_next)
    return store.rocks()


@cache
def source_position(rocks: Rocks, group_offset: int | None) -> int:
    """Return where the source is read on; raises InvariantBroken where the engine does."""
    commit = OffsetAndMetadata(NO_OFFSET if group_offset is None else group_offset, "")
    store = cast(PartitionStore, MemoryStore(rocks))
    return _source_progress(SOURCE, KnownOffsets(commit, None, 0), store, is_further=False).source_next
