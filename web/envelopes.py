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

from ledger_streams.domain.ids import derived_id
from ledger_streams.ports import Message

SCHEMA_VERSION: Final = 1
FIRST_VERSION: Final = 1
"""A payment's first event; a command is no event of its wallet and always says so much."""


def payment_requested(topic: str, payment_id: str, data: Mapping[str, Any], *, now: datetime) -> Message:
    """Return the request for a payment; its event_id is derived, so a repetition is the same event."""
    event_id = derived_id(f"{payment_id}:PaymentRequested:{FIRST_VERSION}")
    return _message(topic, payment_id, "PaymentRequested", event_id=event_id, data=data, now=now)


def wallet_command(
    topic: str, wallet_id: str, command: str, *, command_id: str, data: Mapping[str, Any], now: datetime
) -> Message:
    """Return an administrative command, such as FreezeWallet, with its name and its own id."""
    return _message(topic, wallet_id, command, event_id=command_id, data=data, now=now)


def _message(
    topic: str, aggregate_id: str, event_type: str, *, event_id: str, data: Mapping[str, Any], now: datetime
) -> Message:
    envelope = {
        "event_id": event_id,
        "event_type": event_type,
        "schema_version": SCHEMA_VERSION,
        "aggregate_id": aggregate_id,
        "event_version": FIRST_VERSION,
        "occurred_at": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "correlation_id": aggregate_id,
        "causation_id": None,
        "data": data,
    }
    return Message(topic=topic, key=aggregate_id, value=msgspec.json.encode(envelope))
