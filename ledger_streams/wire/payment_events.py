"""payment-events on the wire: requests from outside, outcomes from the sagas agent.

Requests come from gateways that may leave out half the envelope, so they are read
leniently and checked to the last field; what is wrong is named.  The error bears the
payment_id only where the record is a request, its payment_id is readable and its key is
that payment: only then is there a payment that can be told that it failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from ledger_streams.domain.events import PaymentCompleted, PaymentFailed, PaymentKind, PaymentOutcome
from ledger_streams.domain.ids import EventId, PaymentId, WalletId, derived_id, is_canonical_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.payment import PaymentRequested, fingerprint, read_request
from ledger_streams.errors import Unreadable
from ledger_streams.wire.envelope import (
    SCHEMA_VERSION,
    Envelope,
    Version,
    check_id,
    check_key,
    check_optional_ids,
    decode_stored,
    decode_with,
    parse_time,
    read_object,
    seal,
    text_of,
    time_ms,
)

OCCURRED_BEFORE_MS_MAX: Final = timedelta(days=31) // timedelta(milliseconds=1)
"""How far before its append time a request may have occurred: as old as the oldest open partition."""
OCCURRED_AFTER_MS_MAX: Final = timedelta(minutes=5) // timedelta(milliseconds=1)
"""How far after it: the clocks of gateways differ."""

REQUESTED: Final = "PaymentRequested"
OUTCOMES: Final = frozenset({"PaymentCompleted", "PaymentFailed", "PaymentRefunded"})


class _Head(msgspec.Struct, gc=False, kw_only=True):
    event_id: str
    event_type: str
    aggregate_id: str
    occurred_at: str
    data: msgspec.Raw
    schema_version: int = SCHEMA_VERSION
    event_version: int = 1
    correlation_id: str | None = None
    causation_id: str | None = None


class _Glance(msgspec.Struct, gc=False):
    event_type: str
    data: dict[str, Any]


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


class OutcomeRecord(msgspec.Struct, frozen=True, gc=False):
    """A payment's end as read from payment-events; the envelope's `data` can be stored by PostgreSQL."""

    envelope: Envelope
    outcome: PaymentOutcome | None
    """None for PaymentRefunded, which changes no row of its own yet."""


_head = msgspec.json.Decoder(_Head).decode
_glance = msgspec.json.Decoder(_Glance).decode
_completed = msgspec.json.Decoder(_Completed).decode
_failed = msgspec.json.Decoder(_Failed).decode


def read_payment_event(value: bytes | None, *, key: bytes | None, append_ms: int) -> PaymentRequested | None:
    """Read a request; None when the record is a payment's outcome that can be read.

    Raises Unreadable; with a payment_id when a payment can be told.
    """
    try:
        return _read(value, key, append_ms)
    except Unreadable as error:
        raise Unreadable(reason=error.reason, detail=error.detail, payment_id=_tellable(value, key)) from None


def _read(value: bytes | None, key: bytes | None, append_ms: int) -> PaymentRequested | None:
    head: _Head = decode_with(_head, text_of(value))
    if head.event_type in OUTCOMES:
        if not _is_own(head):
            read_payment_outcome(value, key=key)
        return None
    if head.event_type != REQUESTED:
        raise invalid("event_type", "is none that payment-events has")
    _check_head(head, append_ms)
    data = read_object(head.data)
    request = read_request(data)
    if head.aggregate_id != request.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    check_key(key, request.payment_id, "data.payment_id")
    return PaymentRequested(
        EventId(head.event_id),
        request,
        head.data,
        fingerprint(data),
        head.occurred_at,
        head.correlation_id or request.payment_id,
        head.causation_id,
    )


def _is_own(head: _Head) -> bool:
    """Tell whether it bears the id the system derives: what the system wrote is not checked again."""
    return head.event_id == derived_id(f"{head.aggregate_id}:{head.event_type}:{head.event_version}")


def _check_head(head: _Head, append_ms: int) -> None:
    check_id(head.event_id, "event_id")
    if head.schema_version != SCHEMA_VERSION:
        raise invalid("schema_version", f"must be {SCHEMA_VERSION}")
    if head.event_version != 1:
        raise invalid("event_version", "must be 1 in a request")
    check_optional_ids(head)
    occurred_ms = time_ms(parse_time(head.occurred_at))
    if occurred_ms < append_ms - OCCURRED_BEFORE_MS_MAX:
        raise invalid("occurred_at", "is more than 31 days before the record was appended")
    if occurred_ms > append_ms + OCCURRED_AFTER_MS_MAX:
        raise invalid("occurred_at", "is more than 5 minutes after the record was appended")


def _tellable(value: bytes | None, key: bytes | None) -> str | None:
    """Return the payment that an unreadable record asks for, where that much can be read."""
    try:
        glance: _Glance = decode_with(_glance, text_of(value))
    except Unreadable:
        return None
    payment_id = glance.data.get("payment_id")
    if glance.event_type != REQUESTED or not is_canonical_id(payment_id) or payment_id.encode() != key:
        return None
    return payment_id


def read_payment_outcome(value: bytes | None, *, key: bytes | None) -> OutcomeRecord:
    """Read PaymentCompleted, PaymentFailed or PaymentRefunded whole; raises Unreadable."""
    envelope = decode_stored(value)
    parse_time(envelope.occurred_at)
    check_key(key, envelope.aggregate_id, "aggregate_id")
    outcome = _read_outcome(envelope)
    if outcome is not None and envelope.aggregate_id != outcome.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    for wallet_id in outcome.wallets if outcome is not None else ():
        check_id(wallet_id, "data.wallets")
    return OutcomeRecord(envelope, outcome)


def _read_outcome(envelope: Envelope) -> PaymentOutcome | None:
    match envelope.event_type:
        case "PaymentCompleted":
            return _read_completed(envelope.data, envelope.event_version)
        case "PaymentFailed":
            failed: _Failed = decode_with(_failed, envelope.data, "data.")
            version = envelope.event_version
            return PaymentFailed(failed.payment_id, failed.reason, failed.wallets, failed.detail, version)
        case "PaymentRefunded":
            return None
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


def encode_payment_request(
    data: Mapping[str, Any], *, event_id: str, occurred_ms: int, causation_id: str | None = None
) -> bytes:
    """Write PaymentRequested for content that `read_request` has taken."""
    payment_id = data["payment_id"]
    return seal(
        data,
        event_id=event_id,
        event_type=REQUESTED,
        aggregate_id=payment_id,
        event_version=1,
        append_ms=occurred_ms,
        correlation_id=payment_id,
        causation_id=causation_id,
    )


def encode_payment_outcome(outcome: PaymentOutcome, *, causation_id: str, append_ms: int) -> bytes:
    """Write a payment's end, caused by the saga event `causation_id` appended at `append_ms`."""
    payment_id = outcome.payment_id
    event_type = type(outcome).__name__
    return seal(
        _outcome_data(outcome),
        event_id=derived_id(f"{payment_id}:{event_type}:{outcome.version}"),
        event_type=event_type,
        aggregate_id=payment_id,
        event_version=outcome.version,
        append_ms=append_ms,
        correlation_id=payment_id,
        causation_id=causation_id,
    )


def _outcome_data(outcome: PaymentOutcome) -> _Completed | _Failed:
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
