"""Bank transactions: a bank's statement lines as deposits and withdrawals.

A credit is a deposit into the account's wallet, a debit a withdrawal from it, both
without a provider.  All ids are derived from the bank's, so the same file is the same
payments.  What the bank knows beyond that (its booking date, operation, counterparty,
balance) is the payment's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Final

from ledger_streams.domain.ids import derived_id
from ledger_streams.importer.characters import invisible
from ledger_streams.importer.rows import REASON_INVALID, RefusedRow, Row, payment_row

REQUIRED_COLUMNS: Final = ("trans_id", "account_id", "date", "direction", "amount")
DIRECTIONS: Final = ("credit", "debit")
ID_CHARACTERS_MAX: Final = 100
"""A bank's own id is part of a derived id and of metadata."""
_TYPED: Final = frozenset({"amount", "direction"})
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def bank_rows(records: Iterable[tuple[int, dict[str, str] | RefusedRow]], *, currency: str) -> Iterator[Row]:
    """Yield each record as a payment of its account's lane, or refused; `import --help` has the columns."""
    for line, record in records:
        yield record if isinstance(record, RefusedRow) else _row(line, record, currency)


def wallet_of_account(account_id: str) -> str:
    """Return the id of the account's wallet."""
    return derived_id(f"account:{account_id}")


def owner_of_account(account_id: str) -> str:
    """Return the id of the account's owner, whom the bank does not name."""
    return derived_id(f"owner:{account_id}")


def _row(line: int, record: dict[str, str], currency: str) -> Row:
    if (refused := _refused(line, record)) is not None:
        return refused
    wallet_id = wallet_of_account(record["account_id"])
    credit = record["direction"] == "credit"
    data: dict[str, Any] = {
        "payment_id": derived_id(f"trans:{record['trans_id']}"),
        "kind": "deposit" if credit else "withdrawal",
        "target_wallet_id" if credit else "source_wallet_id": wallet_id,
        "amount": record["amount"],
        "currency": currency,
        "provider": None,
        "user_id": owner_of_account(record["account_id"]),
        "metadata": {name: value for name, value in record.items() if value and name not in _TYPED},
    }
    return payment_row(line, data, lane=wallet_id)


def _refused(line: int, record: dict[str, str]) -> RefusedRow | None:
    for name in ("trans_id", "account_id"):
        if (problem := _id_problem(record[name])) is not None:
            return RefusedRow(line, name, REASON_INVALID, problem)
    if record["direction"] not in DIRECTIONS:
        return RefusedRow(line, "direction", REASON_INVALID, "must be credit or debit")
    if not _is_date(record["date"]):
        return RefusedRow(line, "date", REASON_INVALID, "must be a date like 1993-01-31")
    return None


def _id_problem(text: str) -> str | None:
    if not 1 <= len(text) <= ID_CHARACTERS_MAX:
        return f"must be an id of 1 to {ID_CHARACTERS_MAX} characters"
    if (unseen := invisible(text)) is not None:
        return f"must be an id of visible characters, holds {unseen}"
    return None if text == text.strip() else "must be an id without spaces around it"


def _is_date(text: str) -> bool:
    try:
        return _date(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False
