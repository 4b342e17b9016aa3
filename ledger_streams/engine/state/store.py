"""Store: one partition of one table, in RocksDB, as far as the log has it.

A cycle works on an overlay; only after its commit are the changed values, the
changelog position and the source position written, in one WriteBatch.  So RocksDB
may be behind the log, never ahead of it: nothing is ever rolled back or wiped
after a crash, only caught up.
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
"""Keys of states never begin with a zero byte; the positions' does."""

BLOCK_CACHE_BYTES = 64 << 20
"""Shared by all partitions of a process; RocksDB alone would take up to 2 GiB for each."""

WRITE_BUFFER_BYTES = 8 << 20
MEMTABLE_BLOOM_RATIO = 0.1
"""Part of the write buffer: most look-ups are for payments that are new, and so not there."""
RECENT_STATES_MAX = 4_000
"""Decoded states kept for the next cycles, in each of two generations of a partition; 0.2 to 0.8 kB each."""

State = TypeVar("State")


class TableSpec(msgspec.Struct, Generic[State], frozen=True):
    """What the engine has to know of a table."""

    name: str
    help: str
    source: str
    """The topic whose partitions the table follows (contract name); its agent decides deadlines."""
    changelog: str
    """The compacted topic that holds the table's states, with as many partitions."""
    encode: Callable[[State], bytes]
    decode: Callable[[bytes], State]
    stored_form: Callable[[bytes], bytes]
    """From a changelog record's value to what RocksDB keeps."""
    further_sources: tuple[str, ...] = ()
    """Topics with as many partitions, whose agents write the table too."""
    due_ms_of: Callable[[bytes], int | None] = lambda stored: None
    """When a state, as RocksDB keeps it, is due; None when it waits for nothing.  Milliseconds since 1970."""


class Position(msgspec.Struct, frozen=True):
    """Up to where a partition has come."""

    changelog_next: int = 0
    """The changelog offset to be read next."""
    source_next: int | None = None
    """The source offset to be carried out next; None while that is not known from the changelog."""
    further: Mapping[str, int] = {}
    """The same of further sources, by topic (full name)."""
    log: str = ""
    """Names the log that this is a position in, when it was filled anew; empty: it never was."""


_position_encoder = msgspec.msgpack.Encoder()
_position_decoder = msgspec.msgpack.Decoder(Position)
_block_cache = Cache(BLOCK_CACHE_BYTES)


def partition_path(tables_dir: Path, table: str, partition: int) -> Path:
    """Return the folder of one partition of one table."""
    return tables_dir / table / str(partition)


class PartitionStore:
    """States of one partition: the overlay of the cycle under way over RocksDB."""

    def __init__(self, tables_dir: Path, spec: TableSpec[Any], partition: int) -> None:
        self.spec = spec
        self.partition = partition
        self._path = partition_path(tables_dir, spec.name, partition)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = Rdict(str(self._path), _options())
        self.position = self._read_position()
        self._timers = Timers(self._db)
        self._overlay: dict[bytes, Any] = {}
        """States that the cycle under way has changed."""
        self._overlay_stored: dict[bytes, bytes] = {}
        """The same in RocksDB's form."""
        self._recent: dict[bytes, Any] = {}
        self._older: dict[bytes, Any] = {}

    @property
    def place(self) -> tuple[str, int]:
        """The table's name and the partition."""
        return self.spec.name, self.partition

    def get(self, key: bytes) -> Any | None:
        """Return the state of `key` as the cycle under way sees it; None when there is none."""
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
        """Change the state of `key` for this cycle; `stored` is its form in RocksDB."""
        self._overlay[key] = state
        self._overlay_stored[key] = stored

    def due(self, until_ms: int) -> Sequence[Due]:
        """Return the deadlines up to a time, for the cycle that begins; `keep` makes them past."""
        return self._timers.due(until_ms)

    def next_due_ms(self) -> int | None:
        """Return when the next deadline comes."""
        return self._timers.next_ms()

    def drop_overlay(self) -> None:
        """Forget the changes of a cycle that was not committed; its deadlines come again."""
        self._overlay.clear()
        self._overlay_stored.clear()
        self._timers.rearm()

    def write_committed(self, position: Position) -> None:
        """Write the overlay and the position it leads to, at once; call it after the commit only."""
        if len(self._recent) > RECENT_STATES_MAX:
            self._older, self._recent = self._recent, {}
        self._recent.update(self._overlay)
        pairs = self._overlay_stored
        self._overlay, self._overlay_stored = {}, {}
        self._write(pairs, position)

    def restore(self, pairs: dict[bytes, bytes], position: Position) -> None:
        """Write states that were read back from the changelog, and how far that was."""
        self._recent.clear()
        self._older.clear()
        self._write(pairs, position)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all keys with their stored form; close the iterator before the store."""
        return ((key, value) for key, value in self._db.items() if not key.startswith(b"\x00"))

    def is_empty(self) -> bool:
        """Whether no state is kept at all."""
        return next(self.items(), None) is None

    def bind_to_log(self, generation: str) -> None:
        """Take it that the changelog has this name; delete everything if what is kept is of another one.

        Offsets alone do not tell: a log that was made anew may be longer by now than the old one was.
        """
        if self.position.log != generation:
            if self.position.changelog_next:
                self.wipe()
            self.position = Position(log=generation)

    def wipe(self) -> None:
        """Delete everything: what is kept here belongs to another log."""
        log.warning("table %s, partition %d: wiped, to be rebuilt", self.spec.name, self.partition)
        self.close()
        shutil.rmtree(self._path)
        self._db = Rdict(str(self._path), _options())
        self._timers = Timers(self._db)
        self.position = Position(log=self.position.log)
        self._recent, self._older = {}, {}

    def close(self) -> None:
        """Flush and release the folder for another process."""
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
            raise InvariantBroken(f"{self._path} holds states but no position")
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
