"""Payment lists in PostgreSQL: the query of sql/payment_lists.sql for each kind of filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.ports.payment_lists import PaymentsAsked

_parts: Final = queries("payment_lists")
SQL: Final = {
    name: f"WITH listed AS (\n{_parts[name]}\n)\n{_parts['shown']}"
    for name in ("of_all", "of_user", "of_wallet")
}


def list_query(asked: PaymentsAsked) -> tuple[str, Sequence[Any]]:
    """Return the query for a list, and its arguments."""
    statuses = [*PaymentStatus] if asked.status is None else [asked.status]
    arguments = ([str(status) for status in statuses], asked.since, *asked.before, asked.limit)
    if asked.wallet_id is not None:
        return SQL["of_wallet"], (*arguments, asked.wallet_id, asked.user_id)
    if asked.user_id is not None:
        return SQL["of_user"], (*arguments, asked.user_id)
    return SQL["of_all"], arguments
