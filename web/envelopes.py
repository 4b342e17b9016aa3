"""Envelopes: the records that the API writes.

The API writes PaymentRequested to payment-events and administrative wallet commands to
wallet-commands.  The record key is the aggregate's id, so Kafka keeps the records of one
aggregate in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain.ids import derived_id
from ledger_streams.ports import Message

FIRST_VERSION: Final = 1
"""event_version of every record from the API: PaymentRequested is a payment's first event.

A wallet command is not an event of its wallet, so its version is constant.
"""


class Content(msgspec.Struct, frozen=True):
    """Content of a record, before `to_message` adds the time and the envelope."""

    aggregate_id: str
    event_type: str
    event_id: str
    data: Mapping[str, Any]


def payment_requested(payment_id: str, data: Mapping[str, Any]) -> Content:
    """Return the content of PaymentRequested.

    The event_id is derived from `payment_id`, so a repeated request writes the same event.
    """
    event_id = derived_id(f"{payment_id}:PaymentRequested:{FIRST_VERSION}")
    return Content(payment_id, "PaymentRequested", event_id, data)


def to_message(topic: str, content: Content, *, now: datetime) -> Message:
    """Return the record for `topic`, keyed by its aggregate; `now` is UTC."""
    value = wire.encode_envelope(
        content.data,
        event_id=content.event_id,
        event_type=content.event_type,
        aggregate_id=content.aggregate_id,
        event_version=FIRST_VERSION,
        append_ms=wire.time_ms(now),
        correlation_id=content.aggregate_id,
        causation_id=None,
    )
    return Message(topic=topic, key=content.aggregate_id, value=value)
