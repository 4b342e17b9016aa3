"""Bounds of an exploration, and the engine's rules, one of which it can drop.

The model must find an error for each dropped rule; otherwise it could not find any.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Rule(Enum):
    """A rule of the engine, named by what it says."""

    HIGHEST_POSITION = auto()
    """A partition is read on from the highest position known, not from the group's offset alone."""
    HEADER_HAS_POSITION = auto()
    """A changelog record says in a header which position its cycle leads to."""
    GENERATION_FENCES = auto()
    """The broker refuses offsets of an older generation."""
    GENERATION_OF_TAKEOVER = auto()
    """The generation sent is the one of the takeover, not what the member has when it commits."""
    EPOCH_FENCES = auto()
    """The broker refuses what producers of an earlier epoch have had on their way."""
    STABLE_OFFSETS = auto()
    """Offsets of open transactions are waited for."""
    HIGH_WATERMARK = auto()
    """The changelog is read to its end, open transactions included, and those are waited for."""
    READ_TO_POSITION = auto()
    """Its end is reached when the reader's position is there: the last offset may be a marker's."""
    CHANGELOG_READ = auto()
    """States are read back from the changelog, not only positions."""
    KEPT_AFTER_COMMIT = auto()
    """RocksDB is written when the commit is answered, not before."""
    KEPT_AT_ONCE = auto()
    """State and position are written in one batch."""
    UNANSWERED_IS_LOST = auto()
    """A commit without an answer has an unknown outcome: its cycle is neither kept nor sent again."""
    DEADLINE_LOOKS_AT_STATE = auto()
    """A deadline may come again: what it sets off depends on the state."""


class Fault(Enum):
    """Faults; a pause is not listed, since every step may wait for ever."""

    REBALANCE = "rebalance"
    CRASH = "crash"
    CRASH_WITHOUT_ROCKSDB = "crash, and RocksDB is lost"
    CRASH_WITH_OLDER_ROCKSDB = "crash, and RocksDB is put back from earlier"
    COMMIT_UNANSWERED = "commit unanswered"
    TIME_OUT = "transaction times out"
    OFFSETS_EXPIRED = "group offsets expire"


class Bounds(NamedTuple):
    """Bounds: the exploration covers every outcome of this many records and faults."""

    records: int = 2
    faults: int = 2
    kinds: frozenset[Fault] = frozenset(Fault)
    has_deadline: bool = False
    """The first record sets a deadline."""
    silent: frozenset[int] = frozenset()
    """Records that change no state: their cycles leave nothing in the changelog."""
    dropped: Rule | None = None
