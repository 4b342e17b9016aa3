"""Rows of the projections, and the batch in which a projector hands them over.

The fields of a row are the columns of its table, in order, so that a row goes to
COPY as it is.  Ids are canonical UUID text, times are aware datetimes, JSON
columns are JSON text, amounts are wire strings or integer minor units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

TopicPartition: TypeAlias = tuple[str, int]


class Advance(NamedTuple):
    """A source position: the writer's expected one, and the one after the batch."""

    expected: int | None
    """The next offset that is stored; None when nothing of the partition was ever projected."""
    new: int


class EventRow(NamedTuple):
    """One record of payment-events or saga-events."""

    event_id: str
    aggregate_id: str
    event_type: str
    event_data: str
    event_version: int
    occurred_at: datetime
    topic: str
    source_partition: int
    source_offset: int
    correlation_id: str | None
    causation_id: str | None
    chain_hash: bytes = b""
    """Set by the sink (hash_chain.py)."""


class WalletEventRow(NamedTuple):
    """One record of wallet-events; `wallet_state` is its `wallet`, the state after it."""

    wallet_id: str
    event_version: int
    event_id: str
    user_id: str
    event_type: str
    currency: str | None
    event_data: str
    wallet_state: str
    payment_id: str | None
    schema_version: int
    correlation_id: str | None
    causation_id: str | None
    occurred_at: datetime
    source_partition: int = -1
    source_offset: int = -1
    """-1 for a record made again from a row without an offset."""
    chain_hash: bytes = b""


class SnapshotRow(NamedTuple):
    """A wallet after its event `last_event_version`; of several of one wallet in a batch the last counts."""

    wallet_id: str
    user_id: str
    status: str
    last_event_version: int
    balances: str
    as_of: datetime
    source_partition: int
    source_offset: int
    chain_hash: bytes = b""
    """Of the wallet's last event, with which the next one's is made."""


class PaymentRow(NamedTuple):
    """A PaymentRequested: makes the payment pending, unless the payment is known already.

    Content that cannot be read is None.
    """

    payment_id: str
    kind: str | None
    amount: str | None
    currency: str | None
    source_wallet_id: str | None
    target_wallet_id: str | None
    provider: str | None
    user_id: str | None
    fingerprint: str
    requested_at: datetime


class PaymentOutcomeRow(NamedTuple):
    """How a payment ended; `wallets` is the JSON object {wallet_id: version}.

    The money and the wallets of a completed one: a refund's request need not have named them.
    """

    payment_id: str
    status: str
    reason: str | None
    detail: str | None
    wallets: str
    ended_at: datetime
    amount: str | None = None
    currency: str | None = None
    source_wallet_id: str | None = None
    target_wallet_id: str | None = None


class RefundRow(NamedTuple):
    """How much of a payment has been refunded in all, a decimal string."""

    payment_id: str
    status: str
    refunded: str


class PostingRow(NamedTuple):
    """One leg of an event that moves money; the legs of an event sum to zero."""

    event_id: str
    leg: int
    account: str
    currency: str
    amount_minor: int
    payment_id: str | None
    occurred_at: datetime


@dataclass(slots=True)
class SinkBatch:
    """Rows of one projector cycle, written in one transaction; each list is in the order of its records."""

    positions: Mapping[TopicPartition, Advance]
    """Of each source partition in the batch."""
    events: list[EventRow] = field(default_factory=list)
    wallet_events: list[WalletEventRow] = field(default_factory=list)
    snapshots: list[SnapshotRow] = field(default_factory=list)
    payments: list[PaymentRow] = field(default_factory=list)
    payment_outcomes: list[PaymentOutcomeRow] = field(default_factory=list)
    refunds: list[RefundRow] = field(default_factory=list)
    postings: list[PostingRow] = field(default_factory=list)
