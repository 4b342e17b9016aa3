"""The book: a provider's executed, declined and cancelled orders, in SQLite.

Each call is one transaction, committed when it returns, so a killed process loses nothing
that it has answered (a power cut may lose the last moments).  A payment is effective if it
is approved and its key is not cancelled.  Amounts are integer minor units.  A key is a
row, so a repeated order is executed once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from ledger_streams.domain.money import format_amount

CANCELLED: Final = "cancelled"
"""Status of a cancelled key, and the reason of its declined orders."""

BUSY_S_MAX: Final = 10.0
"""Time to wait for another process that writes the same book."""

SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS payments (
    key          TEXT PRIMARY KEY,
    payment_id   TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('deposit', 'withdrawal')),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency     TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('approved', 'declined')),
    detail       TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cancellations (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS effective AS
    SELECT * FROM payments WHERE status = 'approved' AND key NOT IN (SELECT key FROM cancellations);
"""


class Order(msgspec.Struct, frozen=True):
    """An order; `kind` is deposit or withdrawal."""

    payment_id: str
    kind: str
    amount_minor: int
    currency: str


class Entry(msgspec.Struct, frozen=True):
    """The entry of a key; `order` is None if the key was cancelled before its order arrived."""

    status: str
    """approved, declined or cancelled."""
    detail: str | None = None
    """Reference of an approval or reason of a decline; a cancellation keeps it."""
    order: Order | None = None


class Sums(msgspec.Struct):
    """Sums (decimal strings) and counts of the effective payments of one currency."""

    collected: str
    collected_count: int
    paid_out: str
    paid_out_count: int


class Book:
    """One provider's book, used by one thread; several processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=BUSY_S_MAX, isolation_level=None)
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def carry_out(self, key: str, order: Order, *, refusal: str | None = None) -> Entry | None:
        """Execute the order, or decline it with `refusal`, unless the key is known; return its entry.

        Return None, and change nothing, if the key is known with another order.
        """
        with self._transaction():
            entry = self.entry(key)
            if entry is not None and entry.order is not None:
                return entry if entry.order == order else None
            reason = refusal if entry is None else CANCELLED
            status, detail = ("approved", f"sim-{key}") if reason is None else ("declined", reason)
            row = (key, order.payment_id, order.kind, order.amount_minor, order.currency, status, detail)
            self._db.execute("INSERT INTO payments VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            return Entry(CANCELLED if entry else status, detail, order)

    def cancel(self, key: str) -> None:
        """Cancel the key: its order, past or future, has no effect.  Safe to repeat."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO cancellations VALUES (?)", (key,))

    def entry(self, key: str) -> Entry | None:
        """Return the key's entry; None if the key is unknown."""
        found = self._db.execute(
            "SELECT payment_id, kind, amount_minor, currency, status, detail FROM payments WHERE key = ?",
            (key,),
        ).fetchone()
        cancelled = self._db.execute("SELECT 1 FROM cancellations WHERE key = ?", (key,)).fetchone()
        if found is None:
            return Entry(CANCELLED) if cancelled else None
        *content, status, detail = found
        return Entry(CANCELLED if cancelled else status, detail, Order(*content))

    def sums(self) -> dict[str, Sums]:
        """Return the sums of the effective payments, by currency."""
        rows = self._db.execute(
            "SELECT currency, kind, SUM(amount_minor), COUNT(*) FROM effective GROUP BY 1, 2 ORDER BY 1, 2"
        )
        sums: dict[str, Sums] = {}
        for currency, kind, total_minor, count in rows.fetchall():
            nothing = format_amount(0, currency)
            of_currency = sums.setdefault(currency, Sums(nothing, 0, nothing, 0))
            total = format_amount(total_minor, currency)
            if kind == "deposit":
                of_currency.collected, of_currency.collected_count = total, count
            else:
                of_currency.paid_out, of_currency.paid_out_count = total, count
        return sums

    def effective(self) -> Iterator[tuple[str, Order]]:
        """Yield the effective payments' keys and orders, ordered by key."""
        rows = self._db.execute(
            "SELECT key, payment_id, kind, amount_minor, currency FROM effective ORDER BY key"
        )
        for key, *content in rows:
            yield key, Order(*content)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:  # commits, or rolls back on an exception
            yield
