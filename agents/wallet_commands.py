"""wallet-commands: sagas send commands to wallets, and the wallets agent reads them."""

from __future__ import annotations

from agents.decoded_cache import DecodedRecordCache
from ledger_streams import wire
from ledger_streams.domain.commands import LegCommand
from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, Record


class WalletCommands:
    """The topic wallet-commands, with the decoded commands that this worker has sent to it."""

    def __init__(self, topic: PartitionedTopic) -> None:
        self._topic = topic
        self._decoded: DecodedRecordCache[wire.CommandRecord] = DecodedRecordCache()

    def send_wallet_command(
        self, batch: PartitionBatch, command: LegCommand, *, cause: str | None, append_ms: int
    ) -> None:
        """Send a leg to its wallet; `cause` is the id of the saga event, appended then, that it follows."""
        key = command.wallet_id.encode()
        value, decoded = wire.write_command(command, causation_id=cause, append_ms=append_ms)
        self._decoded.keep(key, value, decoded)
        batch.emit(self._topic.for_key(key), (key, value, ()))

    def read_wallet_command(self, record: Record) -> wire.CommandRecord:
        """Return the command of a record; raises Unreadable."""
        read = self._decoded.take(record.key, record.value) or wire.read_wallet_command(
            record.value, key=record.key
        )
        self._topic.check_partition(record)
        return read

    def add_partition_to_txn(self, batch: PartitionBatch, wallet_id: str) -> None:
        """Add the wallet's partition to the transaction before a command goes there."""
        batch.add_partition_to_txn(self._topic.for_key(wallet_id.encode()))
