"""Following chains: which row was changed, put in or taken away.

Rows come chain by chain in their order.  One that does not follow from the row before
it was changed itself, or the one before it is not the one that was there; where it
follows from the one before that, the row in between was put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from ledger_streams.adapters.postgres.hash_chain import GENESIS, link

FINDINGS_MAX: Final = 1_000
"""Beyond so many it is not a row that was touched, and a list of all of them helps nobody."""


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written; `subject` is a wallet, a payment or a partition."""

    table: str
    subject: str
    place: str
    """The version or offset."""
    day: str
    detail: str


class ChainLink(NamedTuple):
    """A row of a chain."""

    table: str
    chain: str
    at: int
    """Offset, or version."""
    content: bytes | None
    """None of a row that is archived: its hash is believed here."""
    chain_hash: bytes
    subject: str
    day: str


class ChainCheck:
    """Follows chains from `heads`, or from their beginnings; `gapless` ones count their rows from 1."""

    def __init__(self, heads: Mapping[str, bytes] | None = None, *, gapless: bool) -> None:
        self._start = heads or {}
        self._gapless = gapless
        self._chain: str | None = None
        self._before: ChainLink | None = None
        self._tails = (GENESIS, GENESIS)
        """The hash before the last row, and the last row's."""
        self._found: dict[tuple[str, int, bytes], Finding] = {}
        self.rows = 0
        self.archived = 0
        """Of the rows, those whose content is elsewhere."""
        self.heads: dict[str, bytes] = dict(self._start)
        """The last hash of each chain of source partitions, as far as it was followed."""
        self.last: dict[str, int] = {}
        """Where that is."""

    @property
    def found(self) -> list[Finding]:
        """Return what was found so far, in order."""
        return list(self._found.values())

    def add(self, row: ChainLink) -> None:
        """Take the next row."""
        self.rows += 1
        if row.chain != self._chain:
            begin = self._start.get(row.chain, GENESIS)
            self._chain, self._before, self._tails = row.chain, None, (begin, begin)
        last = self._before.at if self._before else 0
        older, newer = self._tails
        if self._gapless and row.at > last + 1:
            self._say(row, f"missing, up to {row.at - 1}", at=last + 1)
        elif row.content is None:
            self.archived += 1
        elif link(newer, row.content) != row.chain_hash:
            if self._before is not None and link(older, row.content) == row.chain_hash:
                self._say(self._before, "inserted")
                newer = older
            else:
                after = f"after {last}" if self._before else "before it"
                self._say(row, f"changed, or a row {after} missing")
        self._before, self._tails = row, (newer, row.chain_hash)
        if not self._gapless:
            self.heads[row.chain], self.last[row.chain] = row.chain_hash, row.at

    def _say(self, row: ChainLink, detail: str, *, at: int | None = None) -> None:
        place = str(row.at if at is None else at)
        found = Finding(row.table, row.subject, place, row.day, detail)
        self._found[row.chain, row.at, row.chain_hash] = found
