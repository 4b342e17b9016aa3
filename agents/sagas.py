"""saga-events, saga-commands -> sagas table -> what wallets, providers and other sagas are asked.

Takes each payment one step further: commands out, replies in, and at its end the outcome
of the payment.  What refunds and people ask of a saga comes on a topic of its own, whose
partitions go with those of saga-events.
"""

from __future__ import annotations

from typing import Any

from faust.types import TP

from agents.saga_events import heard, tell_saga
from agents.wallet_commands import ask_wallet
from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.commands import LegCommand
from ledger_streams.domain.saga import decisions as saga_steps
from ledger_streams.domain.saga import refunds
from ledger_streams.domain.saga.commands import (
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SagaCommand,
    SettlePayment,
)
from ledger_streams.domain.saga.decisions import SagaDecision
from ledger_streams.domain.saga.state import Saga
from ledger_streams.engine.batches import Frame, Record, Share
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import InvariantBroken, Unreadable
from ledger_streams.kafka.records import Outgoing
from ledger_streams.settings import settings
from tables import sagas as table

PATIENCE_MS = settings().provider_patience_ms


SAGA_COMMANDS = destination(topics.SAGA_COMMANDS)
PROVIDER_REQUESTS = destination(topics.PROVIDER_REQUESTS)
PAYMENT_EVENTS = destination(topics.PAYMENT_EVENTS)


@ledger.agent(ledger.frames(settings().topic(topics.SAGA_EVENTS)), name="sagas")
async def sagas(frames: Any) -> None:
    """saga-events -> sagas table -> wallet-commands, provider-requests, saga-events, payment-events."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for due in share.due:
                    expire(share, due)
                for record in share.records:
                    advance(share, record)


@ledger.agent(ledger.frames(settings().topic(topics.SAGA_COMMANDS)), name="saga-commands")
async def saga_commands(frames: Any) -> None:
    """saga-commands -> sagas table -> saga-events, payment-events."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for record in share.records:
                    carry_out(share, record)


def advance(share: Share, record: Record) -> None:
    """Take a saga its next step; park what cannot be read."""
    try:
        read = heard(record)
        known = table.find(share, read.event.payment_id)
        decision = saga_steps.decide(known, read.event, at_ms=record.timestamp, patience_ms=PATIENCE_MS)
    except Unreadable as error:
        park(share, record, error)
        return
    emit(share, decision, cause=read.event_id, append_ms=record.timestamp)


def carry_out(share: Share, record: Record) -> None:
    """Do what a refund or a person asks of a saga; park what cannot be read, or comes too late."""
    try:
        read = wire.read_saga_command(record.value, key=record.key)
        SAGA_COMMANDS.check_place(record)
        decision = decide(table.find(share, read.command.payment_id), read.command)
    except Unreadable as error:
        park(share, record, error)
        return
    emit(share, decision, cause=read.command_id, append_ms=record.timestamp)


def decide(known: Saga | None, command: SagaCommand) -> SagaDecision:
    """Say what a command does to a saga."""
    match command:
        case ReserveRefund():
            return refunds.decide_reservation(known, command)
        case EndRefund():
            return refunds.decide_end(known, command)
        case SettlePayment():
            return saga_steps.decide_settlement(known, command)


def expire(share: Share, due: Due) -> None:
    """Go on with a saga whose deadline has come."""
    decision = saga_steps.decide_due(table.find(share, due.key.decode()), due.due_ms)
    emit(share, decision, cause=None, append_ms=due.due_ms)


def emit(share: Share, decision: SagaDecision, *, cause: str | None, append_ms: int) -> None:
    """Keep and send what was decided."""
    if decision.saga is not None:
        table.keep(share, decision.saga)
    for command in decision.commands:
        if isinstance(command, LegCommand):
            ask_wallet(share, command, cause=cause, append_ms=append_ms)
        else:
            share.emit(*addressed(command, cause, append_ms))
    for event in decision.events:
        tell_saga(share, event, cause=cause, append_ms=append_ms)
    outcome = decision.outcome
    if outcome is not None:
        if cause is None:
            raise InvariantBroken(f"payment {outcome.payment_id} ended without a cause")
        key = outcome.payment_id.encode()
        value = wire.encode_payment_outcome(outcome, causation_id=cause, append_ms=append_ms)
        share.emit(PAYMENT_EVENTS.of(key), (key, value, ()))


def addressed(command: ProviderOrder | SagaCommand, cause: str | None, append_ms: int) -> tuple[TP, Outgoing]:
    """Return the partition and the record of a command to a provider or another saga."""
    if isinstance(command, ProviderOrder):
        key, to = command.payment_id.encode(), PROVIDER_REQUESTS
        value = wire.encode_order(command, causation_id=cause, append_ms=append_ms)
    elif isinstance(command, SettlePayment):
        raise InvariantBroken("a saga settles nothing by hand")
    else:
        key, to = command.payment_id.encode(), SAGA_COMMANDS
        value = wire.encode_saga_command(command, causation_id=cause, append_ms=append_ms)
    return to.of(key), (key, value, ())
