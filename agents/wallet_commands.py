"""wallet-commands: what sagas ask of wallets, and what the wallets read."""

from __future__ import annotations

from typing import Final

from agents.decoded_cache import DecodedRecordCache
from ledger_streams import topics, wire
from ledger_streams.bootstrap.destinations import destination
from ledger_streams.domain.commands import LegCommand
from ledger_streams.engine.batches import PartitionBatch, Record

WALLET_COMMANDS = destination(topics.WALLET_COMMANDS)
_decoded: Final[DecodedRecordCache[wire.CommandRecord]] = DecodedRecordCache()


def send_wallet_command(
    share: PartitionBatch, command: LegCommand, *, cause: str | None, append_ms: int
) -> None:
    """Send a leg to its wallet; `cause` is the id of the saga event, appended then, that it follows."""
    key = command.wallet_id.encode()
    value, asked = wire.write_command(command, causation_id=cause, append_ms=append_ms)
    _decoded.keep(key, value, asked)
    share.emit(WALLET_COMMANDS.for_key(key), (key, value, ()))


def read_wallet_command(record: Record) -> wire.CommandRecord:
    """Return what is asked of a wallet; raises Unreadable."""
    asked = _decoded.take(record.key, record.value) or wire.read_wallet_command(record.value, key=record.key)
    WALLET_COMMANDS.check_partition(record)
    return asked
