"""History: the movements of a wallet in the read model; a part of `ports`.

A statement is a range of versions, which is immutable, and not of times.  Each movement has the
balance after it, so opening, movements and closing agree without a calculation.  Money is decimal
strings, as on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec


class VersionRange(msgspec.Struct, frozen=True):
    """Versions above `after` up to `last`, of one currency or of all."""

    after: int
    last: int
    currency: str | None = None


class MovementView(msgspec.Struct, frozen=True):
    """An event that changed a balance: `amount` has its sign, `balance` is the balance after it.

    `counterparty` is the other wallet of the payment, null for the outside world; `metadata` is
    the request's, null also if it is longer than 4 KiB.
    """

    event_id: str
    version: int
    occurred_at: str
    type: str
    currency: str
    amount: str
    balance: str
    payment_id: str | None
    kind: str | None
    counterparty: str | None
    provider: str | None
    metadata: Mapping[str, Any] | None


class Turnover(msgspec.Struct, frozen=True):
    """The number of movements, and the sums in and out; None without any."""

    movements: int
    total_in: str | None
    total_out: str | None


class History(Protocol):
    """Queries on the past of a wallet."""

    async def wallet_events_before(
        self, wallet_id: str, *, before_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return up to `limit` envelopes of versions below `before_version`, the newest first."""

    async def movements(
        self, wallet_id: str, versions: VersionRange, *, limit: int
    ) -> Sequence[MovementView]:
        """Return the first `limit` movements of the range, in order."""

    async def turnovers(self, wallet_id: str, versions: VersionRange) -> Mapping[str, Turnover]:
        """Return the turnover of the range by currency; without currencies that did not move."""
