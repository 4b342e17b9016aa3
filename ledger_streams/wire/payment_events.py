"""payment-events on the wire: requests from outside; the outcomes are in payment_outcomes.

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

from ledger_streams.domain.ids import EventId, derived_id, is_canonical_id
from ledger_streams.domain.money import invalid
from ledger_streams.domain.payment import PaymentRequested, fingerprint, read_request
from ledger_streams.errors import Unreadable
from ledger_streams.wire.documents import bytes_of, check_room, decode_with, read_record
from ledger_streams.wire.envelope import (
    SCHEMA_VERSION,
    check_id,
    check_key,
    check_optional_ids,
    data_of,
    encode_envelope,
    parse_time,
    time_ms,
)
from ledger_streams.wire.payment_outcomes import OUTCOMES, read_payment_outcome
from ledger_streams.wire.repeated_keys import find_repeated_key

OCCURRED_BEFORE_MS_MAX: Final = timedelta(days=31) // timedelta(milliseconds=1)
"""How far before its append time a request may have occurred: as old as the oldest open partition."""
OCCURRED_AFTER_MS_MAX: Final = timedelta(minutes=5) // timedelta(milliseconds=1)
"""How far after it: the clocks of gateways differ."""

REQUESTED: Final = "PaymentRequested"


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


class _RequestHead(msgspec.Struct, gc=False):
    event_type: str
    data: dict[str, Any]


_head = msgspec.json.Decoder(_Head).decode
_request_head = msgspec.json.Decoder(_RequestHead).decode


def read_payment_event(value: bytes | None, *, key: bytes | None, append_ms: int) -> PaymentRequested | None:
    """Read a request; None when the record is a payment's outcome that can be read.

    Raises Unreadable; with a payment_id when a payment can be told.
    """
    try:
        return _read(value, key, append_ms)
    except Unreadable as error:
        raise Unreadable(
            reason=error.reason, detail=error.detail, payment_id=_payment_to_fail(value, key)
        ) from None


def _read(value: bytes | None, key: bytes | None, append_ms: int) -> PaymentRequested | None:
    head: _Head = decode_with(_head, bytes_of(value))
    if head.event_type in OUTCOMES:
        if not _is_own(head):
            read_payment_outcome(value, key=key)
        return None
    if head.event_type != REQUESTED:
        raise invalid("event_type", "is none that payment-events has")
    data = data_of(read_record(value))
    check_room(bytes(head.data), at="data.")
    _check_head(head, append_ms)
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


def _payment_to_fail(value: bytes | None, key: bytes | None) -> str | None:
    """Return the payment that an unreadable record asks for, where that much can be read without doubt."""
    try:
        text = bytes_of(value)
        request_head: _RequestHead = decode_with(_request_head, text)
        if find_repeated_key(text) is not None:
            return None
    except (Unreadable, ValueError, RecursionError):
        return None
    payment_id = request_head.data.get("payment_id")
    if request_head.event_type != REQUESTED or not is_canonical_id(payment_id) or payment_id.encode() != key:
        return None
    return payment_id


def encode_payment_request(
    data: Mapping[str, Any], *, event_id: str, occurred_ms: int, causation_id: str | None = None
) -> bytes:
    """Write PaymentRequested for content that `read_request` has taken."""
    payment_id = data["payment_id"]
    return encode_envelope(
        data,
        event_id=event_id,
        event_type=REQUESTED,
        aggregate_id=payment_id,
        event_version=1,
        append_ms=occurred_ms,
        correlation_id=payment_id,
        causation_id=causation_id,
    )
