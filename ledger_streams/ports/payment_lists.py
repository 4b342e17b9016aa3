"""Payment lists: which payments the read model is asked for, the newest first; a part of `ports`.

A payment's place in a list is when it was requested, and its id, which never change: so a
list that is continued from a place has no payment twice and leaves none out, whatever
arrives or ends meanwhile.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_streams.domain.statuses import PaymentStatus

BEGIN: Final = datetime.min.replace(tzinfo=UTC)
END: Final = datetime.max.replace(tzinfo=UTC)


class Place(NamedTuple):
    """Where a list goes on: with what was requested before then, or then and has a smaller id."""

    requested_at: datetime
    payment_id: str = "00000000-0000-0000-0000-000000000000"


class PaymentsAsked(msgspec.Struct, frozen=True):
    """Up to `limit` payments from `since` on, before a place; those that all of the others fit."""

    limit: int
    wallet_id: str | None = None
    """Of this wallet, as source or as target."""
    user_id: str | None = None
    """Whose request named this user."""
    status: PaymentStatus | None = None
    since: datetime = BEGIN
    before: Place = Place(END)
