"""In-memory twin of the read model, with the same contract.

`MemoryReadModel` takes the same batches as the PostgreSQL sink, so one test suite runs on both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from ledger_streams.adapters.postgres.rows import SinkBatch, WalletEventRow
from ledger_streams.adapters.postgres.views import wallet_view_of_state, wire_time
from ledger_streams.ports import HoldView, Outcome, ParkedView, PaymentView, UnderWay, WalletView
from ledger_streams.ports.history import MovementView, Turnover, VersionRange
from ledger_streams.ports.payment_lists import PaymentsAsked
from ledger_streams.testing.memory_history import moved, movement, turnover
from ledger_streams.testing.memory_payments import MemoryPayments


class MemoryReadModel:
    """`ports.ReadModel` in dicts."""

    def __init__(self) -> None:
        self._wallet_events: dict[str, list[WalletEventRow]] = {}
        self._payments = MemoryPayments()

    async def write(self, batch: SinkBatch) -> None:
        """Project the batch without checking its positions."""
        for wallet_event in batch.wallet_events:
            self._wallet_events.setdefault(wallet_event.wallet_id, []).append(wallet_event)
        self._payments.write(batch)

    async def wallet(self, wallet_id: str) -> WalletView | None:
        """Return the state of the last event."""
        events = self._wallet_events.get(wallet_id)
        return _view(events[-1]) if events else None

    async def wallet_at(self, wallet_id: str, at: datetime) -> WalletView | None:
        """Return the state that the last event carries before the first one after `at`."""
        until = [*takewhile(lambda event: event.occurred_at <= at, self._wallet_events.get(wallet_id, ()))]
        return _view(until[-1]) if until else None

    async def wallets_of_user(self, user_id: str, *, after: str, limit: int) -> Sequence[WalletView]:
        """Return the user's wallets, ordered by wallet_id."""
        wallets = [_view(events[-1]) for key, events in sorted(self._wallet_events.items()) if key > after]
        return [wallet for wallet in wallets if wallet.user_id == user_id][:limit]

    async def wallet_events(
        self, wallet_id: str, *, after_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return envelopes as they were on the topic, in order."""
        events = self._wallet_events.get(wallet_id, ())
        return [_envelope(event) for event in events if event.event_version > after_version][:limit]

    async def wallet_events_before(
        self, wallet_id: str, *, before_version: int, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Return envelopes as they were on the topic, the newest first."""
        events = reversed(self._wallet_events.get(wallet_id, ()))
        return [_envelope(event) for event in events if event.event_version < before_version][:limit]

    async def movements(self, wallet_id: str, stretch: VersionRange, *, limit: int) -> Sequence[MovementView]:
        """Return movements with their payments' projected fields."""
        events = [*moved(self._wallet_events.get(wallet_id, ()), stretch)][:limit]
        return [
            movement(
                event, self._payments.known(event.payment_id or ""), self._payments.metadata(event.payment_id)
            )
            for event in events
        ]

    async def turnovers(self, wallet_id: str, versions: VersionRange) -> Mapping[str, Turnover]:
        """Return the sums of the movements."""
        events = [*moved(self._wallet_events.get(wallet_id, ()), versions)]
        currencies = {json.loads(event.event_data)["currency"] for event in events}
        return {currency: turnover(events, currency) for currency in currencies}

    async def wallet_event_of(self, wallet_id: str, command_id: str) -> Mapping[str, Any] | None:
        """Return the event of an administrative command."""
        for event in self._wallet_events.get(wallet_id, ()):
            if event.causation_id == command_id and event.payment_id is None:
                return _envelope(event)
        return None

    async def holds(self, wallet_id: str) -> Sequence[HoldView]:
        """Return the holds in the wallet's last event, ordered by hold_id."""
        events = self._wallet_events.get(wallet_id)
        held = json.loads(events[-1].wallet_state).get("holds", {}) if events else {}
        fields = ("amount", "currency", "payment_id", "expires_at")
        return [HoldView(wallet_id, key, *map(hold.get, fields)) for key, hold in sorted(held.items())]

    async def hold_event(self, wallet_id: str, hold_id: str) -> Mapping[str, Any] | None:
        """Return the FundsHeld of a caller's hold."""
        for event in self._wallet_events.get(wallet_id, ()):
            is_held = event.event_type == "FundsHeld" and event.payment_id is None
            if is_held and json.loads(event.event_data)["hold_id"] == hold_id:
                return _envelope(event)
        return None

    async def parked(self, aggregate_id: str) -> Sequence[ParkedView]:
        """Return nothing: in memory no record is ever parked."""
        return ()

    async def payment(self, payment_id: str) -> PaymentView | None:
        """Return the payment with its steps, in the saga's order."""
        return (await self.payments([payment_id])).get(payment_id)

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected with their steps."""
        known = await self.known_payments(payment_ids)
        return {key: self._payments.whole(view) for key, view in known.items()}

    async def payments_listed(self, asked: PaymentsAsked) -> Sequence[PaymentView]:
        """Return a list, the newest first."""
        return self._payments.listed(asked)

    async def known_payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected, without steps."""
        views = {payment_id: self._payments.known(payment_id) for payment_id in payment_ids}
        return {payment_id: view for payment_id, view in views.items() if view is not None}

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return those that have ended and whose wallets are projected."""
        found = {}
        for payment_id, payment in (await self.known_payments(payment_ids)).items():
            versions = self._payments.versions(payment_id)
            if versions is not None:
                wallets = [await self.wallet(wallet_id) for wallet_id in sorted(versions)]
                reached = tuple(w for w in wallets if w is not None and w.version >= versions[w.wallet_id])
                if len(reached) == len(versions):
                    found[payment_id] = Outcome(payment, reached)
        return found

    async def under_way(self, requested_before: datetime) -> UnderWay:
        """Return the payments in flight that were requested before that time."""
        return self._payments.under_way(requested_before)


def _view(event: WalletEventRow) -> WalletView:
    return wallet_view_of_state(event.wallet_id, event.wallet_state, event.occurred_at)


def _envelope(event: WalletEventRow) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "schema_version": event.schema_version,
        "aggregate_id": event.wallet_id,
        "event_version": event.event_version,
        "occurred_at": wire_time(event.occurred_at),
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "data": json.loads(event.event_data),
        "wallet": json.loads(event.wallet_state),
    }
