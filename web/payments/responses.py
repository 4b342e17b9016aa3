"""Payment responses: an accepted payment, a payment with its steps, a payment in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger_streams.domain.money import format_amount
from ledger_streams.ports import ParkedView, PaymentView, StepView
from web.payments.awaited_party import WaitingFor, waiting_for


class Pending(msgspec.Struct, frozen=True):
    """An accepted payment; `status` is `pending`, or the current status for a repeated request."""

    payment_id: str
    status: str


class PaymentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in a list; fields that could not be read from the request are null.

    `refund_of`, `hold_id` and `metadata` are null once the request is archived.  Lists also
    omit metadata larger than 4 KiB.
    """

    payment_id: str
    kind: str | None
    status: str
    reason: str | None
    detail: str | None
    """Description of the failure, beyond the reason."""
    amount: str | None
    currency: str | None
    source_wallet_id: str | None
    target_wallet_id: str | None
    refunded: str | None
    refund_of: str | None
    hold_id: str | None
    provider: str | None
    user_id: str | None
    metadata: msgspec.Raw | None
    requested_at: str | None
    ended_at: str | None
    archived_month: str | None
    """Month of archived steps that are not shown, such as 2024-11."""


class PaymentResponse(PaymentSummary, frozen=True, kw_only=True):
    """A payment with its steps and the party that it waits for."""

    steps: tuple[StepView, ...]
    waiting_for: WaitingFor | None
    parked: tuple[ParkedView, ...] | msgspec.UnsetType = msgspec.UNSET
    """Records of the payment that could not be projected; the response does not include them."""


def to_response(payment: PaymentView, parked: Sequence[ParkedView] = ()) -> PaymentResponse:
    """Return the response for a payment of the read model and its parked records."""
    return PaymentResponse(
        **_facts(payment),
        steps=payment.steps,
        waiting_for=waiting_for(payment),
        parked=tuple(parked) or msgspec.UNSET,
    )


def to_summary(payment: PaymentView) -> PaymentSummary:
    """Return the list entry of a payment of the read model."""
    return PaymentSummary(**_facts(payment))


def parked_text(parked: Sequence[ParkedView]) -> str:
    """Return a sentence about the first parked record, and the command that lists all."""
    first = parked[0]
    return (
        f"{first.topic}[{first.partition}]@{first.offset} is parked as {first.reason}, and its later records "
        "wait; `ledger-streams projections parked list` shows all"
    )


def _facts(payment: PaymentView) -> dict[str, Any]:
    facts = {field: getattr(payment, field) for field in PaymentSummary.__struct_fields__}
    or_null = {field: facts[field] or None for field in ("kind", "reason", "amount", "currency")}
    return {**facts, **or_null, "refunded": payment.refunded or _nothing_in(payment.currency)}


def _nothing_in(currency: str) -> str | None:
    return format_amount(0, currency) if currency else None
