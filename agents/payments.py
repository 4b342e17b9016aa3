"""payment-events -> payments table -> saga-events.

The agent starts the saga of each new payment.  It parks a request that it cannot read; if that
request names a new payment, the payment fails.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agents.saga_events import SagaEvents
from agents.wallet_commands import WalletCommands
from ledger_streams import wire
from ledger_streams.domain import payment
from ledger_streams.domain.request import PaymentRequest
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, Record, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unreadable
from tables.payments import PaymentsTable


class PaymentsAgent:
    """Decides payment requests."""

    def __init__(
        self,
        table: PaymentsTable,
        *,
        payment_events: PartitionedTopic,
        saga_events: SagaEvents,
        wallet_commands: WalletCommands,
        providers: Collection[str],
    ) -> None:
        self._table = table
        self._payment_events = payment_events
        self._saga_events = saga_events
        self._wallet_commands = wallet_commands
        self._providers = providers

    async def process(self, topic_batches: Any) -> None:
        """payment-events -> payments table -> saga-events."""
        topic_batch: TopicBatch
        async for topic_batch in topic_batches:
            with topic_batch as batches:
                for batch in batches:
                    for record in batch.records:
                        self.read(batch, record)

    def read(self, batch: PartitionBatch, record: Record) -> None:
        """Start the saga of a new request; park a record that cannot be read."""
        try:
            requested = wire.read_payment_event(record.value, key=record.key, append_ms=record.timestamp)
            self._payment_events.check_partition(record)
            if requested is None:
                batch.skip(record)  # the outcome of a payment, written by its saga
                return
            known = self._table.find(batch, requested.request.payment_id)
            event = payment.decide(known, requested, providers=self._providers)
        except Unreadable as found:
            error = self._parking_reason(record, found)
            if park(batch, record, error):
                self._fail(batch, record, error)
            return
        if event is not None:
            self._table.keep(batch, requested.request.payment_id, payment.evolve(known, requested))
            self._saga_events.send_saga_event(
                batch, event, cause=requested.event_id, append_ms=record.timestamp
            )
            self._add_partitions_to_txn(batch, requested.request)

    def _parking_reason(self, record: Record, error: Unreadable) -> Unreadable:
        """Return why a record is parked; one in a wrong partition names no payment, so none fails."""
        if error.payment_id is None:
            return error
        try:
            self._payment_events.check_partition(record)
        except Unreadable as misplaced:
            return misplaced
        return error

    def _add_partitions_to_txn(self, batch: PartitionBatch, request: PaymentRequest) -> None:
        """Add the partitions that a payment without a provider reaches next to this transaction."""
        if request.provider is not None:
            return
        for wallet_id in (request.source_wallet_id, request.target_wallet_id):
            if wallet_id is not None:
                self._wallet_commands.add_partition_to_txn(batch, wallet_id)
        batch.add_partition_to_txn(self._payment_events.for_key(request.payment_id.encode()))

    def _fail(self, batch: PartitionBatch, record: Record, error: Unreadable) -> None:
        """Fail the payment of an unreadable request, unless the payment is known."""
        if error.payment_id is None:
            return
        event = payment.decide_unreadable(self._table.find(batch, error.payment_id), error)
        if event is not None:
            self._table.keep(batch, error.payment_id, payment.PaymentKnown(payment.FINGERPRINT_INVALID))
            self._saga_events.send_saga_event(batch, event, cause=None, append_ms=record.timestamp)
