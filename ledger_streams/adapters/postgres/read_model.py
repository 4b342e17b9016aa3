"""The read model: queries of the web views on the projections; it writes nothing.

For `outcomes` a payment has ended when every wallet it touched is projected up to the version in its
outcome.  A read after that sees the payment (read your writes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

import asyncpg
import msgspec

from ledger_streams.adapters.postgres.payment_lists import list_query
from ledger_streams.adapters.postgres.pool import (
    PROBE_S_MAX,
    READ_S_MAX,
    Connection,
    Pool,
    acquire_connection,
)
from ledger_streams.adapters.postgres.queries import queries
from ledger_streams.adapters.postgres.views import (
    envelope,
    movement_view,
    payment_view,
    wallet_view,
    wallet_view_of_state,
    wire_time,
    with_request,
)
from ledger_streams.dataloader import DataLoader
from ledger_streams.ports import HoldView, Outcome, ParkedView, PaymentView, StepView, UnderWay, WalletView
from ledger_streams.ports.history import MovementView, Turnover, VersionRange
from ledger_streams.ports.payment_lists import PaymentsAsked

SQL: Final = queries("read_model")
PARKED_SQL: Final = queries("parked")
PARKED_MAX: Final = 10
"""Parked records in one response; `ledger-streams projections parked list` shows all."""
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
"""Sorts before every id."""
FEW_PAYMENTS: Final = 32
"""Up to so many payments the steps are queried one payment each, in one round trip: planning a list query
takes longer."""


class PostgresReadModel:
    """`ports.ReadModel` on PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: DataLoader[Sequence[str], Mapping[str, PaymentView]] = DataLoader(self._known_of)

    async def wallet(self, wallet_id: str) -> WalletView | None:
        """Return the wallet's snapshot."""
        rows = await self._fetch("wallet", wallet_id)
        return wallet_view(rows[0]) if rows else None

    async def wallet_at(self, wallet_id: str, at: datetime) -> WalletView | None:
        """Return the state that the last event by `at` carries, in the order of versions."""
        rows = await self._fetch("wallet_at", wallet_id, at)
        return wallet_view_of_state(wallet_id, *rows[0]) if rows else None

    async def wallets_of_user(self, user_id: str, *, after: str, limit: int) -> Sequence[WalletView]:
        """Return the user's snapshots, ordered by wallet_id."""
        rows = await self._fetch("wallets_of_user", user_id, after or NO_ID, limit)
        return [wallet_view(row) for row in rows]

    async def wallet_events(
        self, wallet_id: str, *, after_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return envelopes as they were on the topic, in order."""
        return [envelope(row) for row in await self._fetch("wallet_events", wallet_id, after_version, limit)]

    async def wallet_events_before(
        self, wallet_id: str, *, before_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return envelopes as they were on the topic, the newest first."""
        rows = await self._fetch("wallet_events_before", wallet_id, before_version, limit)
        return [envelope(row) for row in rows]

    async def movements(
        self, wallet_id: str, versions: VersionRange, *, limit: int
    ) -> Sequence[MovementView]:
        """Return movements with what is known of their payments."""
        rows = await self._fetch("movements", wallet_id, *msgspec.structs.astuple(versions), limit)
        return [movement_view(row) for row in rows]

    async def turnovers(self, wallet_id: str, versions: VersionRange) -> Mapping[str, Turnover]:
        """Return the sums of the movements' amounts, which have all digits of their currency."""
        rows = await self._fetch("turnovers", wallet_id, *msgspec.structs.astuple(versions))
        return {currency: Turnover(*sums) for currency, *sums in rows}

    async def wallet_event_of(self, wallet_id: str, command_id: str) -> Mapping[str, Any] | None:
        """Return the event of an administrative command, once it is projected."""
        rows = await self._fetch("wallet_event_of", wallet_id, command_id)
        return envelope(rows[0]) if rows else None

    async def holds(self, wallet_id: str) -> Sequence[HoldView]:
        """Return what the wallet's last event says is held, ordered by hold_id."""
        return [HoldView(wallet_id, *row) for row in await self._fetch("holds", wallet_id)]

    async def hold_event(self, wallet_id: str, hold_id: str) -> Mapping[str, Any] | None:
        """Return the FundsHeld of a caller's hold."""
        rows = await self._fetch("hold_event", wallet_id, hold_id)
        return envelope(rows[0]) if rows else None

    async def parked(self, aggregate_id: str) -> Sequence[ParkedView]:
        """Return the first few parked records of an aggregate: a look at an index that is empty as a rule."""
        async with acquire_connection(self._pool, within_s=READ_S_MAX) as connection:
            rows = await connection.fetch(PARKED_SQL["about"], aggregate_id, PARKED_MAX)
        return [ParkedView(**{**row, "parked_at": wire_time(row["parked_at"])}) for row in rows]

    async def payment(self, payment_id: str) -> PaymentView | None:
        """Return the payment with its steps, in the saga's order."""
        return (await self.payments([payment_id])).get(payment_id)

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected with their steps; two queries for all."""
        async with acquire_connection(self._pool, within_s=READ_S_MAX) as connection:
            rows = await connection.fetch(SQL["payments"], payment_ids)
            found = await _steps(connection, [row["payment_id"] for row in rows])
        steps: dict[str, list[StepView]] = {}
        providers: dict[str, str] = {}
        requests: dict[str, str] = {}
        for payment_id, event_type, occurred_at, provider, request in found:
            steps.setdefault(payment_id, []).append(StepView(event_type, wire_time(occurred_at)))
            if provider is not None:
                providers[payment_id] = provider
            if request is not None:
                requests[payment_id] = request
        views = {
            row["payment_id"]: payment_view(row, tuple(steps.get(row["payment_id"], ()))) for row in rows
        }
        return {
            key: with_request(
                msgspec.structs.replace(view, provider=providers.get(key, view.provider)), requests.get(key)
            )
            for key, view in views.items()
        }

    async def payments_listed(self, asked: PaymentsAsked) -> Sequence[PaymentView]:
        """Return a list, the newest first; one query."""
        query, arguments = list_query(asked)
        async with acquire_connection(self._pool, within_s=READ_S_MAX) as connection:
            rows = await connection.fetch(query, *arguments)
        return [with_request(payment_view(row), row["request"]) for row in rows]

    async def known_payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected, ended or not, without steps."""
        return await self._known.load(payment_ids)

    async def _known_of(self, asked: Sequence[Sequence[str]]) -> Sequence[Mapping[str, PaymentView]]:
        rows = await self._fetch("payments", list(chain.from_iterable(asked)))
        views = {row["payment_id"]: payment_view(row) for row in rows}
        return [{key: views[key] for key in payment_ids if key in views} for payment_ids in asked]

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return those that have ended and whose wallets are projected; one query for all."""
        by_payment: dict[str, list[asyncpg.Record]] = {}
        for row in await self._fetch("outcomes", payment_ids):
            by_payment.setdefault(row["payment_id"], []).append(row)
        reached = {key: rows for key, rows in by_payment.items() if all(row["reached"] for row in rows)}
        return {key: _outcome(rows) for key, rows in reached.items()}

    async def answers(self) -> None:
        """Probe PostgreSQL; raises Unavailable when it or the pool does not answer in time."""
        async with acquire_connection(self._pool, within_s=PROBE_S_MAX) as connection:
            await connection.execute("SELECT 1")

    async def under_way(self, requested_before: datetime) -> UnderWay:
        """Return what has not ended of the payments requested before then."""
        (row,) = await self._fetch("under_way", requested_before)
        return UnderWay(row["payments"], row["oldest"])

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with acquire_connection(self._pool, within_s=READ_S_MAX) as connection:
            return await connection.fetch(SQL[query], *arguments)


async def _steps(connection: Connection, payment_ids: Sequence[str]) -> list[asyncpg.Record]:
    if len(payment_ids) <= FEW_PAYMENTS:
        return await connection.fetchmany(SQL["steps_of_one"], [(each,) for each in payment_ids])
    return await connection.fetch(SQL["steps"], payment_ids)


def _outcome(rows: Sequence[asyncpg.Record]) -> Outcome:
    wallets = [
        wallet_view(row, status="wallet_status", owner="owner_id")
        for row in rows
        if row["wallet_id"] is not None
    ]
    return Outcome(payment_view(rows[0]), tuple(sorted(wallets, key=lambda wallet: wallet.wallet_id)))
