"""Envelopes: the records the API writes, as the contract has them.

Two kinds: a payment that was asked for, on payment-events, and an administrative command
to a wallet, on wallet-commands.  The key is the aggregate, so one aggregate's records
stay in order.
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
"""A payment's first event; a command is no event of its wallet and always says so much."""


class Content(msgspec.Struct, frozen=True):
    """What a record says, before it has a time and an envelope."""

    aggregate_id: str
    event_type: str
    event_id: str
    data: Mapping[str, Any]


def payment_requested(payment_id: str, data: Mapping[str, Any]) -> Content:
    """Return the request for a payment; its event_id is derived, so a repetition is the same event."""
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
