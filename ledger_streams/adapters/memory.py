"""The in-memory twin of the read model, with the same contract.

`MemoryReadModel` is fed with the batches that the PostgreSQL sink takes, so a
test hands one batch to either and asks both the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

import msgspec

from ledger_streams.adapters.memory_history import moved, movement, turnover
from ledger_streams.adapters.postgres_rows import (
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    RefundRow,
    SinkBatch,
    WalletEventRow,
)
from ledger_streams.adapters.postgres_views import wallet_view_of_state, wire_time
from ledger_streams.history import MovementView, Stretch, Turnover
from ledger_streams.ports import HoldView, Outcome, ParkedView, PaymentView, StepView, UnderWay, WalletView


class MemoryReadModel:
    """`ports.ReadModel` in dicts."""

    def __init__(self) -> None:
        self._wallet_events: dict[str, list[WalletEventRow]] = {}
        self._events: dict[str, list[EventRow]] = {}
        self._payments: dict[str, PaymentRow] = {}
        self._outcomes: dict[str, PaymentOutcomeRow] = {}
        self._refunds: dict[str, RefundRow] = {}

    async def write(self, batch: SinkBatch) -> None:
        """Project the batch; its positions are taken on trust."""
        for wallet_event in batch.wallet_events:
            self._wallet_events.setdefault(wallet_event.wallet_id, []).append(wallet_event)
        for event in batch.events:
            self._events.setdefault(event.aggregate_id, []).append(event)
        for payment in batch.payments:
            self._payments.setdefault(payment.payment_id, payment)
        for outcome in batch.payment_outcomes:
            self._outcomes[outcome.payment_id] = outcome
        for refund in batch.refunds:
            self._refunds[refund.payment_id] = refund

    async def wallet(self, wallet_id: str) -> WalletView | None:
        """Return the state of the last event."""
        events = self._wallet_events.get(wallet_id)
        return _view(events[-1]) if events else None

    async def wallet_at(self, wallet_id: str, at: datetime) -> WalletView | None:
        """Return the state that the last event carries before the first one after `at`."""
        until = [*takewhile(lambda event: event.occurred_at <= at, self._wallet_events.get(wallet_id, ()))]
        return _view(until[-1]) if until else None

    async def wallets_of_user(self, user_id: str) -> Sequence[WalletView]:
        """Return the user's wallets, ordered by wallet_id."""
        wallets = [_view(events[-1]) for _, events in sorted(self._wallet_events.items())]
        return [wallet for wallet in wallets if wallet.user_id == user_id]

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

    async def movements(self, wallet_id: str, stretch: Stretch, *, limit: int) -> Sequence[MovementView]:
        """Return movements with what is known of their payments."""
        events = [*moved(self._wallet_events.get(wallet_id, ()), stretch)][:limit]
        return [
            movement(event, self._payment(event.payment_id or ""), self._metadata(event.payment_id))
            for event in events
        ]

    async def turnovers(self, wallet_id: str, stretch: Stretch) -> Mapping[str, Turnover]:
        """Return the sums of the movements."""
        events = [*moved(self._wallet_events.get(wallet_id, ()), stretch)]
        currencies = {json.loads(event.event_data)["currency"] for event in events}
        return {currency: turnover(events, currency) for currency in currencies}

    async def wallet_event_of(self, wallet_id: str, command_id: str) -> Mapping[str, Any] | None:
        """Return the event of an administrative command."""
        for event in self._wallet_events.get(wallet_id, ()):
            if event.causation_id == command_id and event.payment_id is None:
                return _envelope(event)
        return None

    async def holds(self, wallet_id: str) -> Sequence[HoldView]:
        """Return what the wallet's last event says is held, ordered by hold_id."""
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
        """Return nothing: memory holds whatever it is given."""
        return ()

    async def payment(self, payment_id: str) -> PaymentView | None:
        """Return the payment with its steps, in the saga's order."""
        return (await self.payments([payment_id])).get(payment_id)

    async def payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected with their steps."""
        known = await self.known_payments(payment_ids)
        return {
            key: msgspec.structs.replace(
                view, steps=self._steps(key), provider=self._provider(key) or view.provider
            )
            for key, view in known.items()
        }

    async def known_payments(self, payment_ids: Sequence[str]) -> Mapping[str, PaymentView]:
        """Return those that are projected, without steps."""
        views = {payment_id: self._payment(payment_id) for payment_id in payment_ids}
        return {payment_id: view for payment_id, view in views.items() if view is not None}

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        """Return those that have ended and whose wallets are projected."""
        found = {}
        for payment_id, payment in (await self.known_payments(payment_ids)).items():
            if payment_id in self._outcomes:
                versions = json.loads(self._outcomes[payment_id].wallets)
                wallets = [await self.wallet(wallet_id) for wallet_id in sorted(versions)]
                reached = tuple(w for w in wallets if w is not None and w.version >= versions[w.wallet_id])
                if len(reached) == len(versions):
                    found[payment_id] = Outcome(payment, reached)
        return found

    async def under_way(self, requested_before: datetime) -> UnderWay:
        """Return what has not ended of the payments requested before then."""
        waiting = [
            row.requested_at
            for row in self._payments.values()
            if row.payment_id not in self._outcomes and row.requested_at < requested_before
        ]
        return UnderWay(len(waiting), min(waiting, default=None))

    def _steps(self, payment_id: str) -> tuple[StepView, ...]:
        events = self._events.get(payment_id, ())
        first = next((event for event in events if event.event_type == "PaymentRequested"), None)
        steps = (event for event in events if event is first or event.event_type != "PaymentRequested")
        ordered = sorted(steps, key=_saga_order)
        return tuple(StepView(event.event_type, wire_time(event.occurred_at)) for event in ordered)

    def _metadata(self, payment_id: str | None) -> dict[str, Any] | None:
        requests = [e for e in self._events.get(payment_id or "", ()) if e.event_type == "PaymentRequested"]
        metadata = json.loads(requests[0].event_data).get("metadata") if requests else None
        return metadata if isinstance(metadata, dict) else None

    def _provider(self, payment_id: str) -> str | None:
        ordered = sorted(self._events.get(payment_id, ()), key=_saga_order)
        named = [json.loads(event.event_data).get("provider") for event in ordered]
        return next((provider for provider in reversed(named) if provider is not None), None)

    def _payment(self, payment_id: str) -> PaymentView | None:
        request, outcome = self._payments.get(payment_id), self._outcomes.get(payment_id)
        if request is None and outcome is None:
            return None
        refund = self._refunds.get(payment_id)
        ended = refund or outcome
        return PaymentView(
            payment_id,
            kind=request.kind or "" if request else "",
            status=ended.status if ended else "pending",
            reason=outcome.reason if outcome else None,
            amount=_first("amount", request, outcome) or "",
            currency=_first("currency", request, outcome) or "",
            source_wallet_id=_first("source_wallet_id", request, outcome),
            target_wallet_id=_first("target_wallet_id", request, outcome),
            fingerprint=request.fingerprint if request else "",
            refunded=refund.refunded if refund else None,
            provider=request.provider if request else None,
        )


def _first(field: str, *rows: PaymentRow | PaymentOutcomeRow | None) -> str | None:
    """Return the field of the first row that has it: a refund's request need not."""
    return next((value for row in rows if (value := getattr(row, field, None)) is not None), None)


def _view(event: WalletEventRow) -> WalletView:
    return wallet_view_of_state(event.wallet_id, event.wallet_state, event.occurred_at)


def _saga_order(event: EventRow) -> tuple[int, int, int]:
    if event.event_type == "PaymentRequested":
        return 0, event.event_version, event.source_offset
    return 2 if event.event_type.startswith("Payment") else 1, event.event_version, event.source_offset


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
