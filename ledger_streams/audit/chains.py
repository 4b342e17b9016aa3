"""Verification of hash chains: finds rows that were changed, inserted or deleted.

Rows arrive chain by chain, in order.  A row that does not follow from its predecessor was changed,
or the predecessor was replaced.  When it follows from the row before the predecessor, the
predecessor was inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from ledger_streams.adapters.postgres.hash_chain import GENESIS, link

FINDINGS_MAX: Final = 1_000
"""Limit of reported findings; more of them mean that not single rows were changed."""


class Finding(msgspec.Struct, frozen=True):
    """A row that differs from what was written; `subject` is a wallet, a payment or a partition."""

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
    """None for an archived row: its hash is not verified here."""
    chain_hash: bytes
    subject: str
    day: str


class ChainCheck:
    """Verifies chains from `heads`, or from their beginnings; `gapless` chains number their rows from 1."""

    def __init__(self, heads: Mapping[str, bytes] | None = None, *, gapless: bool) -> None:
        self._start = heads or {}
        self._gapless = gapless
        self._chain: str | None = None
        self._before: ChainLink | None = None
        self._tails = (GENESIS, GENESIS)
        """Hash of the row before the last one, and of the last row."""
        self._found: dict[tuple[str, int, bytes], Finding] = {}
        self.rows = 0
        self.archived = 0
        """Number of rows whose content is in archive files."""
        self.heads: dict[str, bytes] = dict(self._start)
        """Last verified hash of each source partition's chain."""
        self.last: dict[str, int] = {}
        """Offset of that hash."""

    @property
    def found(self) -> list[Finding]:
        """Return the findings so far, in order."""
        return list(self._found.values())

    def add(self, row: ChainLink) -> None:
        """Verify the next row."""
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
