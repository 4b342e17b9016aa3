"""saga-events, saga-commands -> sagas table -> wallet-commands, provider-requests, payment-events.

Each event takes a payment's saga one step further: it sends commands, takes replies, and at its
end writes the payment's outcome.  Refunds and operators send commands to sagas on a topic of
their own, co-partitioned with saga-events.
"""

from __future__ import annotations

from typing import Any

from faust.types import TP

from agents.saga_events import SagaEvents
from agents.wallet_commands import WalletCommands
from ledger_streams import wire
from ledger_streams.domain.commands import LegCommand
from ledger_streams.domain.saga import decisions, refunds
from ledger_streams.domain.saga.commands import (
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SagaCommand,
    SettlePayment,
)
from ledger_streams.domain.saga.decisions import SagaDecision
from ledger_streams.domain.saga.state import Saga
from ledger_streams.engine.batches import Outgoing, PartitionBatch, PartitionedTopic, Record, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken, Unreadable
from tables.sagas import SagasTable


class SagasAgent:
    """Advances sagas by events, commands and deadlines."""

    def __init__(  # noqa: PLR0913  # one parameter a topic
        self,
        table: SagasTable,
        *,
        saga_events: SagaEvents,
        wallet_commands: WalletCommands,
        saga_commands: PartitionedTopic,
        provider_requests: PartitionedTopic,
        payment_events: PartitionedTopic,
        patience_ms: int,
    ) -> None:
        self._table = table
        self._saga_events = saga_events
        self._wallet_commands = wallet_commands
        self._saga_commands = saga_commands
        self._provider_requests = provider_requests
        self._payment_events = payment_events
        self._patience_ms = patience_ms

    async def process_events(self, topic_batches: Any) -> None:
        """saga-events -> sagas table -> wallet-commands, provider-requests, saga-events, payment-events."""
        topic_batch: TopicBatch
        async for topic_batch in topic_batches:
            with topic_batch as batches:
                for batch in batches:
                    for due in batch.due:
                        self._expire(batch, due)
                    for record in batch.records:
                        self._advance(batch, record)

    async def process_commands(self, topic_batches: Any) -> None:
        """saga-commands -> sagas table -> saga-events, payment-events."""
        topic_batch: TopicBatch
        async for topic_batch in topic_batches:
            with topic_batch as batches:
                for batch in batches:
                    for record in batch.records:
                        self._execute(batch, record)

    def _advance(self, batch: PartitionBatch, record: Record) -> None:
        """Take a saga to its next step; park a record that cannot be read."""
        try:
            read = self._saga_events.read_saga_event(record)
            known = self._table.find(batch, read.event.payment_id)
            decision = decisions.decide(
                known, read.event, at_ms=record.timestamp, patience_ms=self._patience_ms
            )
        except Unreadable as error:
            park(batch, record, error)
            return
        self._emit(batch, decision, cause=read.event_id, append_ms=record.timestamp)

    def _execute(self, batch: PartitionBatch, record: Record) -> None:
        """Execute a refund's or an operator's command; park it if it is unreadable or too late."""
        try:
            read = wire.read_saga_command(record.value, key=record.key)
            self._saga_commands.check_partition(record)
            decision = decide(self._table.find(batch, read.command.payment_id), read.command)
        except Unreadable as error:
            park(batch, record, error)
            return
        self._emit(batch, decision, cause=read.command_id, append_ms=record.timestamp)

    def _expire(self, batch: PartitionBatch, due: Due) -> None:
        """Advance a saga whose deadline has passed."""
        decision = decisions.decide_due(self._table.find(batch, due.key.decode()), due.due_ms)
        self._emit(batch, decision, cause=None, append_ms=due.due_ms)

    def _emit(
        self, batch: PartitionBatch, decision: SagaDecision, *, cause: str | None, append_ms: int
    ) -> None:
        """Keep the saga's new state, and send the commands, events and outcome of a decision."""
        if decision.saga is not None:
            self._table.keep(batch, decision.saga)
        for command in decision.commands:
            if isinstance(command, LegCommand):
                self._wallet_commands.send_wallet_command(batch, command, cause=cause, append_ms=append_ms)
            else:
                batch.emit(*self._route(command, cause, append_ms))
        for event in decision.events:
            self._saga_events.send_saga_event(batch, event, cause=cause, append_ms=append_ms)
        outcome = decision.outcome
        if outcome is not None:
            if cause is None:
                raise InvariantBroken(f"payment {outcome.payment_id} ended without a cause")
            key = outcome.payment_id.encode()
            value = wire.encode_payment_outcome(outcome, causation_id=cause, append_ms=append_ms)
            batch.emit(self._payment_events.for_key(key), (key, value, ()))

    def _route(
        self, command: ProviderOrder | SagaCommand, cause: str | None, append_ms: int
    ) -> tuple[TP, Outgoing]:
        """Return the partition and the record of a command to a provider or another saga."""
        key = command.payment_id.encode()
        if isinstance(command, ProviderOrder):
            to = self._provider_requests
            value = wire.encode_order(command, causation_id=cause, append_ms=append_ms)
        elif isinstance(command, SettlePayment):
            raise InvariantBroken("a saga never sends SettlePayment: only an operator does")
        else:
            to = self._saga_commands
            value = wire.encode_saga_command(command, causation_id=cause, append_ms=append_ms)
        return to.for_key(key), (key, value, ())


def decide(known: Saga | None, command: SagaCommand) -> SagaDecision:
    """Return the decision of the saga on a command."""
    match command:
        case ReserveRefund():
            return refunds.decide_reservation(known, command)
        case EndRefund():
            return refunds.decide_end(known, command)
        case SettlePayment():
            return decisions.decide_settlement(known, command)
