"""Records -> rows of the read side: events, payments, wallet_events, snapshots, postings.

A record yields the same rows at each read.  Each table is fed by one topic, since Kafka orders
no two topics.  A record that the ledger's agents have parked is no event: the same readers
reject it here, and it is skipped.  The projector parks any other record that is `Unreadable`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from ledger_streams import topics, wire
from ledger_streams.adapters.postgres.rows import (
    EventRow,
    PaymentOutcomeRow,
    PaymentRow,
    PostingRow,
    RefundRow,
    SnapshotRow,
    WalletEventRow,
)
from ledger_streams.domain.events import PaymentCompleted, PaymentFailed, PaymentRefunded
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.payment import FINGERPRINT_INVALID, PaymentRequested
from ledger_streams.domain.postings import postings_of
from ledger_streams.engine.batches import PartitionedTopic, Record
from ledger_streams.engine.projection_batch import ProjectionBatch
from ledger_streams.errors import Unreadable
from ledger_streams.ports import BalanceView, WalletView

log = logging.getLogger(__name__)

PAYMENTS, SAGAS, WALLETS = (
    PartitionedTopic(name, topics.spec(name).partitions)
    for name in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_EVENTS)
)
"""For the check of a record's partition, which needs the number of partitions and no full name."""

_json: Final = msgspec.json.Encoder().encode
_time: Final = lru_cache(maxsize=4_096)(wire.parse_time)


def project_payment_event(batch: ProjectionBatch, record: Record) -> None:
    """payment-events -> events, payments."""
    try:
        if batch.checks_partition:
            PAYMENTS.check_partition(record)
        requested = wire.read_payment_event(record.value, key=record.key, append_ms=record.timestamp)
    except Unreadable as error:
        _skip(record, error)
        if error.payment_id is not None:
            # the payments agent stores a new payment as invalid, and so does the read model
            batch.rows.payments.append(_invalid_payment_row(error.payment_id, record))
        return
    if requested is not None:
        batch.rows.events.append(_request_row(batch, record, requested))
        batch.rows.payments.append(_payment_row(requested))
    else:
        ended = wire.read_payment_outcome(record.value, key=record.key)
        batch.rows.events.append(_event_row(batch, record, ended.envelope))
        if isinstance(ended.outcome, PaymentRefunded):
            batch.rows.refunds.append(_refund_row(ended.outcome))
        else:
            batch.rows.payment_outcomes.append(_outcome_row(ended.outcome, ended.envelope.occurred_at))


def project_saga_event(batch: ProjectionBatch, record: Record) -> None:
    """saga-events -> events."""
    try:
        if batch.checks_partition:
            SAGAS.check_partition(record)
        wire.read_saga_event(record.value, key=record.key)
    except Unreadable as error:
        _skip(record, error)
        return
    batch.rows.events.append(_event_row(batch, record, wire.decode_stored(record.value)))


def project_wallet_event(batch: ProjectionBatch, record: Record) -> None:
    """wallet-events -> wallet_events, wallet_snapshots, postings, and the cache."""
    read = wire.read_wallet_event(record.value, key=record.key)
    if batch.checks_partition:
        WALLETS.check_partition(record)
    at, wallet = _time(read.envelope.occurred_at), wire.wallet_object(read.wallet)
    batch.rows.wallet_events.append(_wallet_event_row(read, at, record))
    batch.rows.snapshots.append(_snapshot_row(read.envelope.aggregate_id, wallet, at, record))
    batch.rows.postings += _posting_rows(read, at)
    batch.wallets[read.envelope.aggregate_id] = _view(read.envelope, wallet)


def _skip(record: Record, error: Unreadable) -> None:
    log.debug("%s[%d]@%d skipped, a dead letter: %s", record.topic, record.partition, record.offset, error)


def _event_row(batch: ProjectionBatch, record: Record, envelope: wire.Envelope) -> EventRow:
    return EventRow(
        envelope.event_id,
        envelope.aggregate_id,
        envelope.event_type,
        _text(envelope.data),
        envelope.event_version,
        _time(envelope.occurred_at),
        batch.tp.topic,
        batch.tp.partition,
        record.offset,
        envelope.correlation_id or envelope.aggregate_id,
        envelope.causation_id,
    )


def _request_row(batch: ProjectionBatch, record: Record, requested: PaymentRequested) -> EventRow:
    """Return the row of a request; its envelope may lack optional fields."""
    payment_id = requested.request.payment_id
    return EventRow(
        requested.event_id,
        payment_id,
        "PaymentRequested",
        _text(requested.data),
        1,
        _time(requested.occurred_at),
        batch.tp.topic,
        batch.tp.partition,
        record.offset,
        requested.correlation_id,
        requested.causation_id,
    )


def _payment_row(requested: PaymentRequested) -> PaymentRow:
    request = requested.request
    return PaymentRow(
        request.payment_id,
        request.kind,
        format_amount(request.amount_minor, request.currency) if request.amount_minor else None,
        request.currency or None,
        request.source_wallet_id,
        request.target_wallet_id,
        request.provider,
        request.user_id,
        requested.fingerprint,
        _time(requested.occurred_at),
    )


def _invalid_payment_row(payment_id: str, record: Record) -> PaymentRow:
    at = _time(wire.time_text(record.timestamp))
    return PaymentRow(payment_id, None, None, None, None, None, None, None, FINGERPRINT_INVALID, at)


def _outcome_row(outcome: PaymentCompleted | PaymentFailed, occurred_at: str) -> PaymentOutcomeRow:
    wallets, at = _json(outcome.wallets).decode(), _time(occurred_at)
    if isinstance(outcome, PaymentFailed):
        return PaymentOutcomeRow(outcome.payment_id, "failed", outcome.reason, outcome.detail, wallets, at)
    return PaymentOutcomeRow(
        outcome.payment_id,
        "completed",
        None,
        None,
        wallets,
        at,
        format_amount(outcome.amount_minor, outcome.currency),
        outcome.currency,
        outcome.source_wallet_id,
        outcome.target_wallet_id,
    )


def _refund_row(refunded: PaymentRefunded) -> RefundRow:
    return RefundRow(
        refunded.payment_id,
        "refunded" if refunded.refunded_minor == refunded.paid_minor else "partially_refunded",
        format_amount(refunded.refunded_minor, refunded.currency),
    )


def _wallet_event_row(read: wire.WalletRecord, at: datetime, record: Record) -> WalletEventRow:
    envelope = read.envelope
    return WalletEventRow(
        envelope.aggregate_id,
        envelope.event_version,
        envelope.event_id,
        read.wallet.user_id,
        envelope.event_type,
        getattr(read.event, "currency", None),
        _text(envelope.data),
        _text(envelope.wallet),
        getattr(read.event, "payment_id", None),
        envelope.schema_version,
        envelope.correlation_id,
        envelope.causation_id,
        at,
        record.partition,
        record.offset,
    )


def _snapshot_row(wallet_id: str, wallet: wire.WalletObject, at: datetime, record: Record) -> SnapshotRow:
    return SnapshotRow(
        wallet_id,
        wallet.user_id,
        wallet.status,
        wallet.version,
        _json(wallet.balances).decode(),
        at,
        record.partition,
        record.offset,
    )


def _posting_rows(read: wire.WalletRecord, at: datetime) -> list[PostingRow]:
    event_id, payment_id = read.envelope.event_id, getattr(read.event, "payment_id", None)
    return [
        PostingRow(event_id, leg, posting.account, posting.currency, posting.amount_minor, payment_id, at)
        for leg, posting in enumerate(postings_of(read.event))
    ]


def _view(envelope: wire.Envelope, wallet: wire.WalletObject) -> WalletView:
    balances = {
        currency: BalanceView(held.available, held.held, held.balance, held.overdraft_limit)
        for currency, held in wallet.balances.items()
    }
    return WalletView(
        envelope.aggregate_id, wallet.user_id, wallet.status, wallet.version, balances, envelope.occurred_at
    )


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()
