"""Bank transactions: the lines of a bank statement as deposits and withdrawals.

A credit is a deposit into the account's wallet, a debit a withdrawal from it, both
without a provider.  All ids are derived from the bank's ids, so importing a file twice
gives the same payments.  The other columns (booking date, operation, counterparty,
balance) become the payment's metadata.
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
"""Maximum length of a bank's id, which goes into a derived id and into metadata."""
SHOWN_CHARACTERS_MAX: Final = 40
_TYPED: Final = frozenset({"amount", "direction"})
_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def bank_rows(records: Iterable[tuple[int, dict[str, str] | RefusedRow]], *, currency: str) -> Iterator[Row]:
    """Yield each record as a payment in its account's lane, or as a refused row.

    `import --help` lists the columns.
    """
    for line, record in records:
        yield record if isinstance(record, RefusedRow) else _row(line, record, currency)


def wallet_of_account(account_id: str) -> str:
    """Return the id of the account's wallet."""
    return derived_id(f"account:{account_id}")


def owner_of_account(account_id: str) -> str:
    """Return a user id for the account's owner, derived since the file has none."""
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
        return RefusedRow(
            line, "direction", REASON_INVALID, f"must be credit or debit, got {_shown(record['direction'])}"
        )
    if not _is_date(record["date"]):
        return RefusedRow(
            line, "date", REASON_INVALID, f"must be a date like 1993-01-31, got {_shown(record['date'])}"
        )
    return None


def _shown(text: str) -> str:
    return repr(text[:SHOWN_CHARACTERS_MAX])


def _id_problem(text: str) -> str | None:
    if not 1 <= len(text) <= ID_CHARACTERS_MAX:
        return f"must be an id of 1 to {ID_CHARACTERS_MAX} characters, got {len(text)}"
    if (unseen := invisible(text)) is not None:
        return f"must be an id of visible characters, contains {unseen}"
    return (
        None
        if text == text.strip()
        else f"must be an id without leading or trailing spaces, got {_shown(text)}"
    )


def _is_date(text: str) -> bool:
    try:
        return _date(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False
