"""wallet-commands -> wallets table -> wallet-events, saga-events.

The only writer of wallets: carries commands out, in the order of each wallet, and
replies to the sagas.
"""

from __future__ import annotations

from typing import Any

from agents.saga_events import send_saga_event
from agents.wallet_commands import read_wallet_command
from ledger_streams import topics, wire
from ledger_streams.bootstrap.apps import ledger
from ledger_streams.domain import wallet, wallet_decisions
from ledger_streams.domain.commands import ExpireHold
from ledger_streams.engine.batches import PartitionBatch, Record, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import Unreadable
from ledger_streams.settings import settings
from tables import wallets as table

SOURCE = settings().topic(topics.WALLET_COMMANDS)


@ledger.agent(ledger.topic_batches(SOURCE), name="wallets")
async def wallets(frames: Any) -> None:
    """wallet-commands -> wallets table -> wallet-events, saga-events."""
    frame: TopicBatch
    async for frame in frames:
        with frame as shares:
            for share in shares:
                for due in share.due:
                    expire(share, due)
                for record in share.records:
                    carry_out(share, record)


def expire(share: PartitionBatch, due: Due) -> None:
    """Have the holds of a wallet released whose time has come: by a command, in order with all others."""
    state = table.find(share, due.key.decode())
    for hold_id, hold in state.holds.items() if state is not None else ():
        if state is not None and hold.expires_ms is not None and hold.expires_ms <= due.due_ms:
            command = ExpireHold(state.wallet_id, hold_id, hold.expires_ms)
            share.emit(share.tp, (due.key, wire.encode_expiry(command, due_ms=due.due_ms), ()))


def carry_out(share: PartitionBatch, record: Record) -> None:
    """Do what a command asks, or refuse it; park what cannot be read."""
    try:
        read = read_wallet_command(record)
    except Unreadable as error:
        park(share, record, error)
        return
    state, append_ms = table.find(share, read.command.wallet_id), record.timestamp
    decision = wallet_decisions.decide(state, read.command)
    for event in decision.events:
        state = wallet.evolve(state, event)
        value = wire.encode_wallet_event(event, state, command_id=read.command_id, append_ms=append_ms)
        table.keep(share, state, value)
    if decision.reply is not None:
        send_saga_event(share, decision.reply, cause=read.command_id, append_ms=append_ms)
