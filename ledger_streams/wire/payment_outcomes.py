"""Outcomes on payment-events: what the sagas agent writes when a payment has ended or was refunded."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.domain.events import PaymentCompleted, PaymentFailed, PaymentOutcome, PaymentRefunded
from ledger_streams.domain.ids import PaymentId, WalletId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.request import PaymentKind
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    Version,
    check_id,
    check_key,
    decode_stored,
    encode_envelope,
    parse_time,
)

OUTCOMES: Final = frozenset({"PaymentCompleted", "PaymentFailed", "PaymentRefunded"})


class _Completed(msgspec.Struct, gc=False):
    payment_id: PaymentId
    kind: PaymentKind
    amount: str
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    wallets: dict[str, Version]


class _Failed(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    reason: str
    wallets: dict[str, Version]
    detail: str | None = None


class _Refunded(msgspec.Struct, gc=False):
    payment_id: PaymentId
    refund_id: PaymentId
    amount: str
    refunded: str
    paid: str
    currency: str


class OutcomeRecord(msgspec.Struct, frozen=True, gc=False):
    """A payment's end as read from payment-events; the envelope's `data` can be stored by PostgreSQL."""

    envelope: Envelope
    outcome: PaymentOutcome


_completed = msgspec.json.Decoder(_Completed).decode
_failed = msgspec.json.Decoder(_Failed).decode
_refunded = msgspec.json.Decoder(_Refunded).decode


def read_payment_outcome(value: bytes | None, *, key: bytes | None) -> OutcomeRecord:
    """Read PaymentCompleted, PaymentFailed or PaymentRefunded whole; raises Unreadable."""
    envelope = decode_stored(value)
    parse_time(envelope.occurred_at)
    check_key(key, envelope.aggregate_id, "aggregate_id")
    outcome = _read_outcome(envelope)
    if envelope.aggregate_id != outcome.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    for wallet_id in () if isinstance(outcome, PaymentRefunded) else outcome.wallets:
        check_id(wallet_id, "data.wallets")
    return OutcomeRecord(envelope, outcome)


def _read_outcome(envelope: Envelope) -> PaymentOutcome:
    match envelope.event_type:
        case "PaymentCompleted":
            return _read_completed(envelope.data, envelope.event_version)
        case "PaymentFailed":
            failed: _Failed = decode_with(_failed, envelope.data, "data.")
            version = envelope.event_version
            return PaymentFailed(failed.payment_id, failed.reason, failed.wallets, failed.detail, version)
        case "PaymentRefunded":
            return _read_refunded(envelope.data, envelope.event_version)
        case _:
            raise invalid("event_type", "is no payment's outcome")


def _read_completed(raw: msgspec.Raw, version: int) -> PaymentCompleted:
    data: _Completed = decode_with(_completed, raw, "data.")
    currency = check_currency(data.currency)
    return PaymentCompleted(
        data.payment_id,
        data.kind,
        parse_amount(data.amount, currency),
        currency,
        data.source_wallet_id,
        data.target_wallet_id,
        data.wallets,
        version,
    )


def _read_refunded(raw: msgspec.Raw, version: int) -> PaymentRefunded:
    data: _Refunded = decode_with(_refunded, raw, "data.")
    currency = check_currency(data.currency)
    check_id(data.refund_id, "data.refund_id")
    amount_minor, refunded_minor, paid_minor = (
        parse_amount(text, currency) for text in (data.amount, data.refunded, data.paid)
    )
    return PaymentRefunded(
        data.payment_id, version, data.refund_id, amount_minor, refunded_minor, paid_minor, currency
    )


def encode_payment_outcome(outcome: PaymentOutcome, *, causation_id: str, append_ms: int) -> bytes:
    """Write a payment's end, caused by the saga event `causation_id` appended at `append_ms`."""
    payment_id = outcome.payment_id
    event_type = type(outcome).__name__
    return encode_envelope(
        _outcome_data(outcome),
        event_id=derived_id(f"{payment_id}:{event_type}:{outcome.version}"),
        event_type=event_type,
        aggregate_id=payment_id,
        event_version=outcome.version,
        append_ms=append_ms,
        correlation_id=payment_id,
        causation_id=causation_id,
    )


def _outcome_data(outcome: PaymentOutcome) -> _Completed | _Failed | _Refunded:
    if isinstance(outcome, PaymentRefunded):
        amount, refunded, paid = (
            format_amount(minor, outcome.currency)
            for minor in (outcome.amount_minor, outcome.refunded_minor, outcome.paid_minor)
        )
        return _Refunded(outcome.payment_id, outcome.refund_id, amount, refunded, paid, outcome.currency)
    wallets = dict(outcome.wallets)
    if isinstance(outcome, PaymentFailed):
        return _Failed(outcome.payment_id, outcome.reason, wallets, outcome.detail)
    amount = format_amount(outcome.amount_minor, outcome.currency)
    return _Completed(
        outcome.payment_id,
        outcome.kind,
        amount,
        outcome.currency,
        outcome.source_wallet_id,
        outcome.target_wallet_id,
        wallets,
    )
