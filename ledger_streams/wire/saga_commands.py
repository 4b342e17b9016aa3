"""saga-commands on the wire: what one payment's saga, or a person, asks of another payment's saga.

The key, the aggregate_id and data.payment_id are the payment that is asked.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.ids import EventId, PaymentId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.saga.commands import EndRefund, ReserveRefund, SagaCommand, SettlePayment
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    Version,
    check_id,
    check_key,
    decode_envelope,
    encode_envelope,
)
from ledger_streams.wire.wallet_commands import checked_reason


class SagaCommandRecord(msgspec.Struct, frozen=True, gc=False):
    """A command as read."""

    command_id: EventId
    command: SagaCommand


class _Reserve(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    refund_id: PaymentId
    saga_version: Version
    amount: str | None = None
    currency: str | None = None


class _End(msgspec.Struct, gc=False):
    payment_id: PaymentId
    refund_id: PaymentId
    completed: bool


class _Settle(msgspec.Struct, gc=False):
    payment_id: PaymentId
    approved: bool
    reason: str


_reserve = msgspec.json.Decoder(_Reserve).decode
_end = msgspec.json.Decoder(_End).decode
_settle = msgspec.json.Decoder(_Settle).decode


def read_saga_command(value: bytes | None, *, key: bytes | None) -> SagaCommandRecord:
    """Read any command; raises Unreadable."""
    envelope = decode_envelope(value)
    command = _read(envelope)
    if envelope.aggregate_id != command.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    check_key(key, command.payment_id, "data.payment_id")
    return SagaCommandRecord(EventId(envelope.event_id), command)


def _read(envelope: Envelope) -> SagaCommand:
    match envelope.event_type:
        case "ReserveRefund":
            asked: _Reserve = decode_with(_reserve, envelope.data, "data.")
            check_id(asked.refund_id, "data.refund_id")
            return ReserveRefund(asked.payment_id, asked.refund_id, *_money(asked), asked.saga_version)
        case "EndRefund":
            ended: _End = decode_with(_end, envelope.data, "data.")
            return EndRefund(ended.payment_id, ended.refund_id, ended.completed)
        case "SettlePayment":
            settled: _Settle = decode_with(_settle, envelope.data, "data.")
            return SettlePayment(settled.payment_id, settled.approved, settlement_reason(settled.reason))
        case _:
            raise invalid("event_type", "is none that saga-commands has")


def _money(asked: _Reserve) -> tuple[int, str]:
    """Return amount and currency; an amount is none without its currency, and none is all that is left."""
    if asked.amount is None and asked.currency is None:
        return 0, ""
    currency = check_currency(asked.currency)
    return 0 if asked.amount is None else parse_amount(asked.amount, currency), currency


def settlement_reason(reason: str, *, at: str = "data.") -> str:
    """Return a person's reason if it says anything, and not too much; raises Unreadable `invalid`."""
    if not reason.strip():
        raise invalid(f"{at}reason", "must say why")
    return checked_reason(reason, at=at)


def encode_saga_command(
    command: ReserveRefund | EndRefund, *, causation_id: str | None, append_ms: int
) -> bytes:
    """Write a refund's command to the saga of the payment that it refunds."""
    return _sealed(
        command,
        command_id=derived_id(f"{command.refund_id}:{type(command).__name__}"),
        correlation_id=command.refund_id,
        causation_id=causation_id,
        append_ms=append_ms,
    )


def encode_settlement(command: SettlePayment, *, command_id: str, occurred_ms: int) -> bytes:
    """Write a person's word under the id that its sender has given it."""
    return _sealed(
        command,
        command_id=command_id,
        correlation_id=command.payment_id,
        causation_id=None,
        append_ms=occurred_ms,
    )


def _sealed(
    command: SagaCommand, *, command_id: str, correlation_id: str, causation_id: str | None, append_ms: int
) -> bytes:
    return encode_envelope(
        _data_of(command),
        event_id=command_id,
        event_type=type(command).__name__,
        aggregate_id=command.payment_id,
        event_version=1,
        append_ms=append_ms,
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def _data_of(command: SagaCommand) -> _Reserve | _End | _Settle:
    match command:
        case ReserveRefund():
            amount = format_amount(command.amount_minor, command.currency) if command.amount_minor else None
            return _Reserve(
                command.payment_id, command.refund_id, command.saga_version, amount, command.currency or None
            )
        case EndRefund():
            return _End(command.payment_id, command.refund_id, command.is_completed)
        case SettlePayment():
            return _Settle(command.payment_id, command.is_approved, command.reason)
