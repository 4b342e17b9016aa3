"""Store: one partition of one table, in RocksDB.

A cycle changes an overlay in memory.  After its commit one WriteBatch writes the changed states, the
changelog position and the source offsets.  So RocksDB may be behind the log, never ahead of it; after a
crash it is caught up, never rolled back.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch

from ledger_streams.engine.state.timers import Due, Timers
from ledger_streams.errors import InvariantBroken

log = logging.getLogger(__name__)

POSITION_KEY = b"\x00position"
"""Keys of states never begin with a zero byte."""

BLOCK_CACHE_BYTES = 64 << 20
"""Shared by all partitions of a process; by default RocksDB takes up to 2 GiB for each."""

WRITE_BUFFER_BYTES = 8 << 20
MEMTABLE_BLOOM_RATIO = 0.1
"""Share of the write buffer for a Bloom filter: most look-ups are for new payments, which have no state."""
RECENT_STATES_MAX = 4_000
"""Decoded states cached in each of two generations of a partition; 0.2 to 0.8 kB each."""

State = TypeVar("State")


class TableSpec(msgspec.Struct, Generic[State], frozen=True):
    """A table: its topics, its encodings, its timers."""

    name: str
    help: str
    source: str
    """The first source topic (contract name); its agent decides the timers of the table."""
    changelog: str
    """The compacted topic with the table's states; it has as many partitions as the source."""
    encode: Callable[[State], bytes]
    decode: Callable[[bytes], State]
    stored_form: Callable[[bytes], bytes]
    """Converts a changelog record's value to its form in RocksDB."""
    further_sources: tuple[str, ...] = ()
    """Further topics with as many partitions, whose agents write the same table."""
    due_ms_of: Callable[[bytes], int | None] = lambda stored: None
    """Timer of a state in its RocksDB form, in ms since 1970; None for no timer."""


class Position(msgspec.Struct, frozen=True):
    """How far a store has come; the names of the fields are stored in RocksDB."""

    changelog_next: int = 0
    """Offset of the next changelog record to apply."""
    source_next: int | None = None
    """Source offset of the first source; None while no changelog record has named it."""
    further: Mapping[str, int] = {}
    """Source offsets of the further sources, by topic (full name)."""
    log: str = ""
    """Generation of the changelog; empty if it was never filled anew."""


_position_encoder = msgspec.msgpack.Encoder()
_position_decoder = msgspec.msgpack.Decoder(Position)
_block_cache = Cache(BLOCK_CACHE_BYTES)


def partition_path(tables_dir: Path, table: str, partition: int) -> Path:
    """Return the folder of one partition of one table."""
    return tables_dir / table / str(partition)


class PartitionStore:
    """The states of one partition: the overlay of the cycle in flight over RocksDB."""

    def __init__(self, tables_dir: Path, spec: TableSpec[Any], partition: int) -> None:
        self.spec = spec
        self.partition = partition
        self._path = partition_path(tables_dir, spec.name, partition)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = Rdict(str(self._path), _options())
        self.position = self._read_position()
        self._timers = Timers(self._db)
        self._overlay: dict[bytes, Any] = {}
        """States that the cycle in flight has changed."""
        self._overlay_stored: dict[bytes, bytes] = {}
        """The same states in their RocksDB form."""
        self._recent: dict[bytes, Any] = {}
        self._older: dict[bytes, Any] = {}

    @property
    def place(self) -> tuple[str, int]:
        """The table's name and the partition."""
        return self.spec.name, self.partition

    def get(self, key: bytes) -> Any | None:
        """Return the state of `key` with the changes of the cycle in flight; None if it has none."""
        state = self._overlay.get(key)
        if state is None:
            state = self._recent.get(key)
        if state is None:
            state = self._older.get(key)
        if state is None:
            stored = self._db.get(key)
            state = None if stored is None else self.spec.decode(stored)
        return state

    def put(self, key: bytes, state: Any, stored: bytes) -> None:
        """Set the state of `key` in the overlay; `stored` is its form in RocksDB."""
        self._overlay[key] = state
        self._overlay_stored[key] = stored

    def due(self, until_ms: int) -> Sequence[Due]:
        """Fire the timers up to a time; `write_committed` deletes them, `drop_overlay` rearms them."""
        return self._timers.due(until_ms)

    def next_due_ms(self) -> int | None:
        """Return the time of the next timer; None without one."""
        return self._timers.next_ms()

    def drop_overlay(self) -> None:
        """Drop the changes of a cycle that was not committed, and rearm its timers."""
        self._overlay.clear()
        self._overlay_stored.clear()
        self._timers.rearm()

    def write_committed(self, position: Position) -> None:
        """Write the overlay and its position in one batch; call it after the commit only."""
        if len(self._recent) > RECENT_STATES_MAX:
            self._older, self._recent = self._recent, {}
        self._recent.update(self._overlay)
        pairs = self._overlay_stored
        self._overlay, self._overlay_stored = {}, {}
        self._write(pairs, position)

    def restore(self, pairs: dict[bytes, bytes], position: Position) -> None:
        """Write states from the changelog, and the position behind them, in one batch."""
        self._recent.clear()
        self._older.clear()
        self._write(pairs, position)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all keys with their states in RocksDB form; close the iterator before the store."""
        return ((key, value) for key, value in self._db.items() if not key.startswith(b"\x00"))

    def is_empty(self) -> bool:
        """Return whether the store has no state."""
        return next(self.items(), None) is None

    def bind_to_log(self, generation: str) -> None:
        """Bind the store to a generation of the changelog; wipe it if it belongs to another one.

        Offsets cannot tell two generations apart: the new log may be longer than the old one was.
        """
        if self.position.log != generation:
            if self.position.changelog_next:
                self.wipe()
            self.position = Position(log=generation)

    def wipe(self) -> None:
        """Delete all states: they belong to another log."""
        log.warning(
            "table %s, partition %d belongs to another log: wiped, to be rebuilt from its changelog",
            *self.place,
        )
        self.close()
        shutil.rmtree(self._path)
        self._db = Rdict(str(self._path), _options())
        self._timers = Timers(self._db)
        self.position = Position(log=self.position.log)
        self._recent, self._older = {}, {}

    def close(self) -> None:
        """Flush, and release the folder for another process."""
        self._db.close()

    def _write(self, pairs: dict[bytes, bytes], position: Position) -> None:
        batch = WriteBatch(raw_mode=True)
        put, due_ms_of, timers = batch.put, self.spec.due_ms_of, self._timers
        for key, value in pairs.items():
            put(key, value)
            due_ms = due_ms_of(value)
            if due_ms is not None or key in timers:
                timers.move(batch, key, due_ms)
        self._timers.delete_fired(batch)
        position = msgspec.structs.replace(position, log=self.position.log)
        batch.put(POSITION_KEY, _position_encoder.encode(position))
        self._db.write(batch)
        self.position = position

    def _read_position(self) -> Position:
        stored = self._db.get(POSITION_KEY)
        if stored is not None:
            return _position_decoder.decode(stored)
        if not self.is_empty():
            raise InvariantBroken(
                f"{self._path} holds states but no position. Move the folder away and start the "
                "worker again; it rebuilds the table from its changelog"
            )
        return Position()


def read_only(tables_dir: Path, table: str, partition: int) -> Rdict:
    """Open a partition for reading beside the worker that owns it; raw keys and values."""
    path = partition_path(tables_dir, table, partition)
    return Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_RATIO)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(_block_cache)
    blocks.set_bloom_filter(10, False)
    options.set_block_based_table_factory(blocks)
    return options
