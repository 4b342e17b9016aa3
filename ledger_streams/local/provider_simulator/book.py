"""The book: what a provider has carried out, declined and cancelled, in SQLite.

Each call is one transaction, committed when it returns, so a process killed with -9
has forgotten nothing it answered (after a power cut the last moments may be missing).
A payment is effective when it was approved and its key is not cancelled.  Amounts are
integers of minor units, and a key is a row: twice the same is once.
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
"""The status of a cancelled key, and the reason its orders are declined with."""

BUSY_S_MAX: Final = 10.0
"""How long to wait for another process that writes the same book."""

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
    """What is to be done: `kind` is deposit or withdrawal."""

    payment_id: str
    kind: str
    amount_minor: int
    currency: str


class Entry(msgspec.Struct, frozen=True):
    """What the book has under a key; `order` is None for a key that was cancelled before it was seen."""

    status: str
    """approved, declined or cancelled."""
    detail: str | None = None
    """The reference when it was approved, the reason when it was declined; kept when it is cancelled."""
    order: Order | None = None


class Sums(msgspec.Struct):
    """The effective payments of one currency, as decimal strings, and how many they are."""

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
        """Carry out the order, or decline it with `refusal`, unless the key is known; return its entry.

        None when the key is known with another order: then nothing is changed.
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
        """See to it that the key never has an effect, or no longer; safe to repeat."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO cancellations VALUES (?)", (key,))

    def entry(self, key: str) -> Entry | None:
        """Return what is known of the key."""
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
        with self._db:  # commits, or takes back when there is an exception
            yield
