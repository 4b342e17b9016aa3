"""saga-events -> sagas table -> wallet-commands, saga-events, payment-events.

Takes each payment one step further: commands to wallets out, their replies in, and at
its end the outcome of the payment.
"""

from __future__ import annotations

from typing import Any

from ledger_streams import topics, wire
from ledger_streams.app import ledger
from ledger_streams.domain import saga
from ledger_streams.engine.cycles import Destination, Frame, Record, Share
from ledger_streams.engine.dead_letters import park
from ledger_streams.errors import Unreadable
from ledger_streams.settings import settings
from tables import sagas as table

SOURCE = settings().topic(topics.SAGA_EVENTS)
WALLET_COMMANDS = Destination(
    settings().topic(topics.WALLET_COMMANDS), topics.spec(topics.WALLET_COMMANDS).partitions
)
PAYMENT_EVENTS = Destination(
    settings().topic(topics.PAYMENT_EVENTS), topics.spec(topics.PAYMENT_EVENTS).partitions
)


@ledger.agent(ledger.frames(SOURCE), name="sagas")
async def sagas(frames: Any) -> None:
    """saga-events -> sagas table -> wallet-commands, saga-events, payment-events."""
    frame: Frame
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for record in share.records:
                    advance(share, record)


def advance(share: Share, record: Record) -> None:
    """Take a saga its next step; park what cannot be read."""
    try:
        read = wire.read_saga_event(record.value, key=record.key)
    except Unreadable as error:
        park(share, record, error)
        return
    payment_id = read.event.payment_id
    decision = saga.decide(table.find(share, payment_id), read.event, at_ms=record.timestamp)
    if decision.saga is not None:
        table.keep(share, decision.saga)
    emit(share, decision, payment_id.encode(), cause=read.event_id, append_ms=record.timestamp)


def emit(share: Share, decision: saga.SagaDecision, key: bytes, *, cause: str, append_ms: int) -> None:
    """Send what the saga decided."""
    command, outcome = decision.command, decision.outcome
    if command is not None:
        wallet = command.wallet_id.encode()
        value = wire.encode_command(command, causation_id=cause, append_ms=append_ms)
        share.emit(WALLET_COMMANDS.of(wallet), (wallet, value, ()))
    for event in decision.events:
        value = wire.encode_saga_event(event, causation_id=cause, append_ms=append_ms)
        share.emit(share.tp, (key, value, ()))
    if outcome is not None:
        value = wire.encode_payment_outcome(outcome, causation_id=cause, append_ms=append_ms)
        share.emit(PAYMENT_EVENTS.of(key), (key, value, ()))
