"""In-memory payments: part of the read model's twin, fed with the rows of the sink."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from ledger_streams.adapters.postgres.rows import (
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    RefundRow,
    SinkBatch,
)
from ledger_streams.adapters.postgres.views import wire_time
from ledger_streams.ports import PaymentView, StepView, UnderWay
from ledger_streams.ports.payment_lists import PaymentsAsked, Place

METADATA_LISTED_MAX = 4096
"""Characters of metadata shown in a list."""


class MemoryPayments:
    """Payments with their events, outcomes and refunds, in dicts."""

    def __init__(self) -> None:
        self._events: dict[str, list[EventRow]] = {}
        self._requests: dict[str, PaymentRow] = {}
        self._outcomes: dict[str, PaymentOutcomeRow] = {}
        self._refunds: dict[str, RefundRow] = {}

    def write(self, batch: SinkBatch) -> None:
        """Project the batch's payment rows."""
        for event in batch.events:
            self._events.setdefault(event.aggregate_id, []).append(event)
        for payment in batch.payments:
            self._requests.setdefault(payment.payment_id, payment)
        for outcome in batch.payment_outcomes:
            self._outcomes[outcome.payment_id] = outcome
        for refund in batch.refunds:
            self._refunds[refund.payment_id] = refund

    def versions(self, payment_id: str) -> Mapping[str, int] | None:
        """Return the wallet versions of an ended payment; None while it is in flight."""
        outcome = self._outcomes.get(payment_id)
        return None if outcome is None else json.loads(outcome.wallets)

    def under_way(self, requested_before: datetime) -> UnderWay:
        """Return the payments in flight that were requested before that time."""
        waiting = [
            row.requested_at
            for row in self._requests.values()
            if row.payment_id not in self._outcomes and row.requested_at < requested_before
        ]
        return UnderWay(len(waiting), min(waiting, default=None))

    def listed(self, asked: PaymentsAsked) -> Sequence[PaymentView]:
        """Return a list, the newest first."""
        ids = self._requests.keys() | self._outcomes.keys()
        places = sorted(
            (Place(self._requested_at(payment_id), payment_id) for payment_id in ids), reverse=True
        )
        found = [
            self._with_request(view, metadata_max=METADATA_LISTED_MAX)
            for place in places
            if asked.since <= place.requested_at and place < asked.before
            if (view := self.known(place.payment_id)) is not None and _fits(view, asked)
        ]
        return found[: asked.limit]

    def known(self, payment_id: str) -> PaymentView | None:
        """Return the payment without its steps and request fields."""
        request, outcome = self._requests.get(payment_id), self._outcomes.get(payment_id)
        if request is None and outcome is None:
            return None
        refund = self._refunds.get(payment_id)
        ended = refund or outcome
        return PaymentView(
            payment_id,
            kind=request.kind or "" if request else "",
            status=ended.status if ended else "pending",
            reason=outcome.reason if outcome else None,
            detail=outcome.detail if outcome else None,
            amount=_first("amount", request, outcome) or "",
            currency=_first("currency", request, outcome) or "",
            source_wallet_id=_first("source_wallet_id", request, outcome),
            target_wallet_id=_first("target_wallet_id", request, outcome),
            fingerprint=request.fingerprint if request else "",
            refunded=refund.refunded if refund else None,
            provider=request.provider if request else None,
            user_id=request.user_id if request else None,
            requested_at=wire_time(self._requested_at(payment_id)),
            ended_at=wire_time(outcome.ended_at) if outcome else None,
        )

    def whole(self, view: PaymentView) -> PaymentView:
        """Return the payment with its steps in the saga's order and its request fields."""
        events = self._events.get(view.payment_id, ())
        first = self._request_event(view.payment_id)
        steps = (event for event in events if event is first or event.event_type != "PaymentRequested")
        ordered = sorted(steps, key=_saga_order)
        shown = tuple(StepView(event.event_type, wire_time(event.occurred_at)) for event in ordered)
        return msgspec.structs.replace(self._with_request(view), steps=shown)

    def metadata(self, payment_id: str | None) -> dict[str, Any] | None:
        """Return the metadata of the payment's request."""
        first = self._request_event(payment_id or "")
        metadata = json.loads(first.event_data).get("metadata") if first else None
        return metadata if isinstance(metadata, dict) else None

    def _with_request(self, view: PaymentView, *, metadata_max: int | None = None) -> PaymentView:
        first = self._request_event(view.payment_id)
        data = json.loads(first.event_data) if first else {}
        text = None if data.get("metadata") is None else json.dumps(data["metadata"], ensure_ascii=False)
        is_shown = text is not None and (metadata_max is None or len(text.encode()) <= metadata_max)
        return msgspec.structs.replace(
            view,
            refund_of=data.get("refund_of"),
            hold_id=data.get("hold_id"),
            metadata=msgspec.Raw(text.encode()) if text is not None and is_shown else None,
            provider=self._provider(view.payment_id) or view.provider,
        )

    def _request_event(self, payment_id: str) -> EventRow | None:
        events = self._events.get(payment_id, ())
        return next((event for event in events if event.event_type == "PaymentRequested"), None)

    def _requested_at(self, payment_id: str) -> datetime:
        request = self._requests.get(payment_id)
        return request.requested_at if request else self._outcomes[payment_id].ended_at

    def _provider(self, payment_id: str) -> str | None:
        ordered = sorted(self._events.get(payment_id, ()), key=_saga_order)
        named = [json.loads(event.event_data).get("provider") for event in ordered]
        return next((provider for provider in reversed(named) if provider is not None), None)


def _fits(view: PaymentView, asked: PaymentsAsked) -> bool:
    wallets, wallet_id = (view.source_wallet_id, view.target_wallet_id), asked.wallet_id
    return (
        (wallet_id is None or wallet_id in wallets)
        and asked.user_id in (None, view.user_id)
        and asked.status in (None, view.status)
    )


def _first(field: str, *rows: PaymentRow | PaymentOutcomeRow | None) -> str | None:
    """Return the field of the first row that has it; a refund's request may lack it."""
    return next((value for row in rows if (value := getattr(row, field, None)) is not None), None)


def _saga_order(event: EventRow) -> tuple[int, int, int]:
    if event.event_type == "PaymentRequested":
        return 0, event.event_version, event.source_offset
    return 2 if event.event_type.startswith("Payment") else 1, event.event_version, event.source_offset
