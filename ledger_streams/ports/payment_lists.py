"""Payment lists: queries for payments, newest first, with keyset pagination; a part of `ports`.

The key of a payment is its request time and its id, which never change.  So the pages of a list
repeat and omit no payment, whatever arrives or ends in between.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_streams.domain.statuses import PaymentStatus

BEGIN: Final = datetime.min.replace(tzinfo=UTC)
END: Final = datetime.max.replace(tzinfo=UTC)


class Place(NamedTuple):
    """The key where a page starts: earlier requests, or the same time and a smaller id."""

    requested_at: datetime
    payment_id: str = "00000000-0000-0000-0000-000000000000"


class PaymentsAsked(msgspec.Struct, frozen=True):
    """A query for up to `limit` payments from `since` on, before a place; the filters are combined."""

    limit: int
    wallet_id: str | None = None
    """Filter: this wallet is source or target."""
    user_id: str | None = None
    """Filter: the request names this user."""
    status: PaymentStatus | None = None
    since: datetime = BEGIN
    before: Place = Place(END)
