"""What the API says of a payment: that it is taken, or how it stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ledger_streams.domain.money import format_amount
from ledger_streams.ports import ParkedView, PaymentView, StepView
from web.waiting import WaitingFor, waiting_for


class Pending(msgspec.Struct, frozen=True):
    """A payment that is taken; `status` is other than pending where it was asked for before."""

    payment_id: str
    status: str


class PaymentShown(msgspec.Struct, frozen=True):
    """A payment as the contract shows it; what an unreadable request did not say is null."""

    payment_id: str
    kind: str | None
    status: str
    reason: str | None
    amount: str | None
    currency: str | None
    source_wallet_id: str | None
    target_wallet_id: str | None
    refunded: str | None
    steps: tuple[StepView, ...]
    waiting_for: WaitingFor | None
    archived_month: str | None
    """Like 2024-11: the month of its first steps, where those are archived and not shown."""
    parked: tuple[ParkedView, ...] | msgspec.UnsetType = msgspec.UNSET
    """Records of it that could not be projected, where there are any: what is shown is behind by them."""


def shown(payment: PaymentView, parked: Sequence[ParkedView] = ()) -> PaymentShown:
    """Return what is shown of a payment of the read model, and of its parked records."""
    return PaymentShown(
        payment_id=payment.payment_id,
        kind=payment.kind or None,
        status=payment.status,
        reason=payment.reason,
        amount=payment.amount or None,
        currency=payment.currency or None,
        source_wallet_id=payment.source_wallet_id,
        target_wallet_id=payment.target_wallet_id,
        refunded=payment.refunded or _nothing_in(payment.currency),
        steps=payment.steps,
        waiting_for=waiting_for(payment),
        archived_month=payment.archived_month,
        parked=tuple(parked) or msgspec.UNSET,
    )


def parked_words(parked: Sequence[ParkedView]) -> str:
    """Say in a sentence what is parked of something, and what shows more."""
    first = parked[0]
    return (
        f"{first.topic}[{first.partition}]@{first.offset} is parked as {first.reason}, and its later records "
        "wait; `ledger-streams projections parked list` shows all"
    )


def _nothing_in(currency: str) -> str | None:
    return format_amount(0, currency) if currency else None
