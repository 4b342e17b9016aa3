"""provider-requests on the wire: what sagas ask of providers, for the gateway.

Only the sagas agent writes this topic; its key is the payment.  However often a payment's
provider is asked, the idempotency key is one: it is derived from the payment alone.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.ids import EventId, PaymentId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import CancelPayment, CarryOutPayment, ProviderOrder
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Version,
    check_key,
    decode_envelope,
    encode_envelope,
)


class OrderRecord(msgspec.Struct, frozen=True, gc=False):
    """An order as read: `event_id` is the cause of its answer."""

    event_id: EventId
    order: ProviderOrder


class _Order(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    provider: str
    amount: str
    currency: str
    saga_version: Version
    attempt: int
    kind: PaymentKind | None = None
    reason: str | None = None


_order = msgspec.json.Decoder(_Order).decode


def read_order(value: bytes | None, *, key: bytes | None) -> OrderRecord:
    """Read what a provider is asked to do; raises Unreadable."""
    envelope = decode_envelope(value)
    data: _Order = decode_with(_order, envelope.data, "data.")
    if envelope.aggregate_id != data.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    check_key(key, data.payment_id, "data.payment_id")
    currency = check_currency(data.currency)
    amount_minor, version = parse_amount(data.amount, currency), data.saga_version
    order: ProviderOrder
    if envelope.event_type == "CarryOutPayment" and data.kind is not None:
        order = CarryOutPayment(
            data.payment_id, data.provider, data.kind, amount_minor, currency, version, data.attempt
        )
    elif envelope.event_type == "CancelPayment":
        reason = data.reason or ""
        order = CancelPayment(
            data.payment_id, data.provider, amount_minor, currency, version, data.attempt, reason
        )
    else:
        raise invalid("event_type", "is none that provider-requests has")
    return OrderRecord(EventId(envelope.event_id), order)


def encode_order(order: ProviderOrder, *, causation_id: str | None, append_ms: int) -> bytes:
    """Write an order, caused by a saga event appended at `append_ms`, or by a deadline then."""
    name = type(order).__name__
    data = _Order(
        order.payment_id,
        order.provider,
        format_amount(order.amount_minor, order.currency),
        order.currency,
        order.saga_version,
        order.attempt,
        order.kind if isinstance(order, CarryOutPayment) else None,
        order.reason if isinstance(order, CancelPayment) else None,
    )
    return encode_envelope(
        data,
        event_id=derived_id(f"{order.payment_id}:{name}:{order.saga_version}:{order.attempt}"),
        event_type=name,
        aggregate_id=order.payment_id,
        event_version=order.saga_version,
        append_ms=append_ms,
        correlation_id=order.payment_id,
        causation_id=causation_id,
    )


def idempotency_key(payment_id: PaymentId) -> str:
    """Return the key under which the provider knows the payment."""
    return derived_id(f"{payment_id}:provider")
