"""What the API says of a payment: that it is taken, or how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger_streams.domain.money import format_amount
from ledger_streams.ports import ParkedView, PaymentView, StepView
from web.payments.awaited_party import WaitingFor, waiting_for


class Pending(msgspec.Struct, frozen=True):
    """A payment that is taken; `status` is other than pending where it was asked for before."""

    payment_id: str
    status: str


class PaymentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as a list shows it; what an unreadable request did not say is null.

    `refund_of`, `hold_id` and `metadata` are null where the request is archived; in a list also
    metadata longer than 4 KiB.
    """

    payment_id: str
    kind: str | None
    status: str
    reason: str | None
    detail: str | None
    """Why it failed, in words, where the reason does not say all."""
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
    """Like 2024-11: the month of its first steps, where those are archived and not shown."""


class PaymentResponse(PaymentSummary, frozen=True, kw_only=True):
    """A payment as the contract shows it, with its steps and whom it waits for."""

    steps: tuple[StepView, ...]
    waiting_for: WaitingFor | None
    parked: tuple[ParkedView, ...] | msgspec.UnsetType = msgspec.UNSET
    """Records of it that could not be projected, where there are any: what is shown is behind by them."""


def to_response(payment: PaymentView, parked: Sequence[ParkedView] = ()) -> PaymentResponse:
    """Return what is shown of a payment of the read model, and of its parked records."""
    return PaymentResponse(
        **_facts(payment),
        steps=payment.steps,
        waiting_for=waiting_for(payment),
        parked=tuple(parked) or msgspec.UNSET,
    )


def to_summary(payment: PaymentView) -> PaymentSummary:
    """Return what a list shows of a payment of the read model."""
    return PaymentSummary(**_facts(payment))


def parked_text(parked: Sequence[ParkedView]) -> str:
    """Say in a sentence what is parked of something, and what shows more."""
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
