"""payment-events -> payments table -> saga-events.

Reads requests, finds out which are new, and has their sagas started.  What cannot be
read is parked; where it names a new payment, that payment fails.
"""

from __future__ import annotations

from typing import Any

from agents.saga_events import send_saga_event
from agents.wallet_commands import WALLET_COMMANDS
from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain import payment
from ledger_streams.domain.request import PaymentRequest
from ledger_streams.engine.batches import PartitionBatch, Record, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unreadable
from ledger_streams.settings import settings
from tables import payments as table

PAYMENT_EVENTS = destination(topics.PAYMENT_EVENTS)
SOURCE = settings().topic(topics.PAYMENT_EVENTS)
PROVIDERS = settings().provider_urls


@ledger.agent(ledger.topic_batches(SOURCE), name="payments")
async def payments(frames: Any) -> None:
    """payment-events -> payments table -> saga-events."""
    frame: TopicBatch
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for record in share.records:
                    read(share, record)


def read(share: PartitionBatch, record: Record) -> None:
    """Start the saga of a new request; park what cannot be read."""
    try:
        requested = wire.read_payment_event(record.value, key=record.key, append_ms=record.timestamp)
        PAYMENT_EVENTS.check_partition(record)
        if requested is None:
            share.skip(record)  # the outcome of a payment, written by its saga
            return
        known = table.find(share, requested.request.payment_id)
        event = payment.decide(known, requested, providers=PROVIDERS)
    except Unreadable as found:
        error = in_place(record, found)
        if park(share, record, error):
            fail(share, record, error)
        return
    if event is not None:
        table.keep(share, requested.request.payment_id, payment.evolve(known, requested))
        send_saga_event(share, event, cause=requested.event_id, append_ms=record.timestamp)
        announce(share, requested.request)


def in_place(record: Record, error: Unreadable) -> Unreadable:
    """Return why a record is parked; in a wrong partition it tells no payment, which others know of."""
    if error.payment_id is None:
        return error
    try:
        PAYMENT_EVENTS.check_partition(record)
    except Unreadable as misplaced:
        return misplaced
    return error


def announce(share: PartitionBatch, request: PaymentRequest) -> None:
    """Name the partitions that a payment without a provider comes to, in the same transaction if it can."""
    if request.provider is not None:
        return
    for wallet_id in (request.source_wallet_id, request.target_wallet_id):
        if wallet_id is not None:
            share.add_partition_to_txn(WALLET_COMMANDS.for_key(wallet_id.encode()))
    share.add_partition_to_txn(PAYMENT_EVENTS.for_key(request.payment_id.encode()))


def fail(share: PartitionBatch, record: Record, error: Unreadable) -> None:
    """Have the payment of an unreadable request fail, unless it is known."""
    if error.payment_id is None:
        return
    event = payment.decide_unreadable(table.find(share, error.payment_id), error)
    if event is not None:
        table.keep(share, error.payment_id, payment.PaymentKnown(payment.FINGERPRINT_INVALID))
        send_saga_event(share, event, cause=None, append_ms=record.timestamp)
