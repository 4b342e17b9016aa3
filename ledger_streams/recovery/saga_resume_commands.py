"""Records of the commands that a saga in flight waits for.

A command's id is derived from payment, step and version, so a command written again has the same id.
"""

from __future__ import annotations

from typing import Final

from ledger_streams import topics, wire
from ledger_streams.domain.commands import LegCommand
from ledger_streams.domain.saga import decisions
from ledger_streams.domain.saga.commands import ProviderOrder, SettlePayment
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.saga.transitions import SagaStatus
from ledger_streams.recovery.saga_resume_facts import OutgoingRecord

WAITS_FOR_A_WALLET: Final = frozenset(
    {
        SagaStatus.DEDUCTING,
        SagaStatus.CREDITING,
        SagaStatus.COMPENSATING,
        SagaStatus.HOLDING,
        SagaStatus.CAPTURING,
        SagaStatus.RELEASING,
    }
)


def awaited_leg(saga: Saga) -> LegCommand | None:
    """Return the leg that the saga waits for; None when it does not wait for a wallet."""
    if saga.status not in WAITS_FOR_A_WALLET:
        return None
    (command,) = decisions.entered(saga).commands
    assert isinstance(command, LegCommand), "what these statuses send"
    return command


def route(command: decisions.Command, cause: str | None, at_ms: int) -> OutgoingRecord:
    """Return the record of a saga's command, with its topic and key."""
    if isinstance(command, LegCommand):
        value = wire.encode_command(command, causation_id=cause, append_ms=at_ms)
        return OutgoingRecord(topics.WALLET_COMMANDS, command.wallet_id, value)
    if isinstance(command, ProviderOrder):
        value = wire.encode_order(command, causation_id=cause, append_ms=at_ms)
        return OutgoingRecord(topics.PROVIDER_REQUESTS, command.payment_id, value)
    assert not isinstance(command, SettlePayment), "a saga settles nothing by hand"
    value = wire.encode_saga_command(command, causation_id=cause, append_ms=at_ms)
    return OutgoingRecord(topics.SAGA_COMMANDS, command.payment_id, value)
