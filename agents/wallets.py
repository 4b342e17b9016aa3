"""wallet-commands -> wallets table -> wallet-events, saga-events.

The only writer of wallets.  The agent executes the commands of each wallet in order and replies
to the sagas.
"""

from __future__ import annotations

from typing import Any

from agents.saga_events import SagaEvents
from agents.wallet_commands import WalletCommands
from ledger_streams import wire
from ledger_streams.domain import wallet, wallet_decisions
from ledger_streams.domain.commands import ExpireHold
from ledger_streams.engine.batches import PartitionBatch, Record, TopicBatch
from ledger_streams.engine.dead_letters import park
from ledger_streams.engine.state.timers import Due
from ledger_streams.errors import Unreadable
from tables.wallets import WalletsTable


class WalletsAgent:
    """Executes wallet commands and expires holds."""

    def __init__(
        self, table: WalletsTable, *, saga_events: SagaEvents, wallet_commands: WalletCommands
    ) -> None:
        self._table = table
        self._saga_events = saga_events
        self._wallet_commands = wallet_commands

    async def process(self, topic_batches: Any) -> None:
        """wallet-commands -> wallets table -> wallet-events, saga-events."""
        topic_batch: TopicBatch
        async for topic_batch in topic_batches:
            with topic_batch as batches:
                for batch in batches:
                    for due in batch.due:
                        self.expire(batch, due)
                    for record in batch.records:
                        self.execute(batch, record)

    def expire(self, batch: PartitionBatch, due: Due) -> None:
        """Send a command for each expired hold of a wallet, so that it is in order with all others."""
        state = self._table.find(batch, due.key.decode())
        for hold_id, hold in state.holds.items() if state is not None else ():
            if state is not None and hold.expires_ms is not None and hold.expires_ms <= due.due_ms:
                command = ExpireHold(state.wallet_id, hold_id, hold.expires_ms)
                batch.emit(batch.tp, (due.key, wire.encode_expiry(command, due_ms=due.due_ms), ()))

    def execute(self, batch: PartitionBatch, record: Record) -> None:
        """Execute a command or refuse it; park a record that cannot be read."""
        try:
            read = self._wallet_commands.read_wallet_command(record)
        except Unreadable as error:
            park(batch, record, error)
            return
        state, append_ms = self._table.find(batch, read.command.wallet_id), record.timestamp
        decision = wallet_decisions.decide(state, read.command)
        for event in decision.events:
            state = wallet.evolve(state, event)
            value = wire.encode_wallet_event(event, state, command_id=read.command_id, append_ms=append_ms)
            self._table.keep(batch, state, value)
        if decision.reply is not None:
            self._saga_events.send_saga_event(
                batch, decision.reply, cause=read.command_id, append_ms=append_ms
            )
