"""Commands about holds on wallet-commands: hold, capture, release, expire; read and written here.

A hold with a payment_id is a step of that payment and has its saga_version; without one it
is a caller's.  wallet_commands reads the envelope and comes here by the command's name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from ledger_streams.domain.commands import (
    CaptureHold,
    Counterparty,
    ExpireHold,
    HoldCommand,
    HoldFunds,
    ReleaseHold,
)
from ledger_streams.domain.ids import EventId, HoldId, PaymentId, WalletId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Version,
    check_id,
    encode_envelope,
    parse_time,
    time_ms,
    time_text,
)

NAMES: Final = frozenset({command.__name__ for command in (HoldFunds, CaptureHold, ReleaseHold, ExpireHold)})


class _Hold(msgspec.Struct, gc=False, omit_defaults=True):
    wallet_id: WalletId
    hold_id: HoldId
    amount: str
    currency: str
    payment_id: PaymentId | None = None
    saga_version: Version | None = None
    expires_at: str | None = None


class _Capture(msgspec.Struct, gc=False):
    wallet_id: WalletId
    hold_id: HoldId
    amount: str
    currency: str
    payment_id: PaymentId
    saga_version: Version
    counterparty: Counterparty


class _Release(msgspec.Struct, gc=False, omit_defaults=True):
    wallet_id: WalletId
    hold_id: HoldId
    reason: str
    payment_id: PaymentId | None = None
    saga_version: Version | None = None


class _Expire(msgspec.Struct, gc=False):
    wallet_id: WalletId
    hold_id: HoldId
    expires_at: str


_hold = msgspec.json.Decoder(_Hold).decode
_capture = msgspec.json.Decoder(_Capture).decode
_release = msgspec.json.Decoder(_Release).decode
_expire = msgspec.json.Decoder(_Expire).decode


def read_hold_command(name: str, data: msgspec.Raw) -> HoldCommand:
    """Read the data of a command of NAMES; raises Unreadable."""
    command = _read(name, data)
    check_id(command.hold_id, "data.hold_id")
    payment_id = getattr(command, "payment_id", None)
    if payment_id is not None:
        check_id(payment_id, "data.payment_id")
    saga_version = getattr(command, "saga_version", None)
    if (saga_version is None) is not (payment_id is None):
        raise invalid("data.saga_version", "belongs to a payment's step, and each has it")
    return command


def _read(name: str, data: msgspec.Raw) -> HoldCommand:
    match name:
        case "HoldFunds":
            hold: _Hold = decode_with(_hold, data, "data.")
            money = _money(hold.amount, hold.currency)
            expires_ms = None if hold.expires_at is None else expiry_ms(hold.expires_at, "data.expires_at")
            return HoldFunds(
                hold.wallet_id, hold.hold_id, *money, hold.payment_id, hold.saga_version, expires_ms
            )
        case "CaptureHold":
            taken: _Capture = decode_with(_capture, data, "data.")
            amount_minor, currency = _money(taken.amount, taken.currency)
            return CaptureHold(
                taken.wallet_id,
                taken.payment_id,
                taken.hold_id,
                amount_minor,
                currency,
                taken.counterparty,
                taken.saga_version,
            )
        case "ReleaseHold":
            freed: _Release = decode_with(_release, data, "data.")
            return ReleaseHold(
                freed.wallet_id, freed.hold_id, freed.reason, freed.payment_id, freed.saga_version
            )
        case _:
            over: _Expire = decode_with(_expire, data, "data.")
            return ExpireHold(over.wallet_id, over.hold_id, expiry_ms(over.expires_at, "data.expires_at"))


def _money(amount: str, currency: str) -> tuple[int, str]:
    check_currency(currency)
    return parse_amount(amount, currency), currency


def expiry_ms(text: str, field: str) -> int:
    """Read when a hold ends, as ms since 1970, not before; raises Unreadable."""
    at: datetime = parse_time(text, field=field)
    expires_ms = time_ms(at)
    if expires_ms < 0:
        raise invalid(field, "must not be before 1970")
    return expires_ms


def hold_data(command: HoldCommand) -> Any:
    """Return the data of a command, as it goes on the wire."""
    match command:
        case HoldFunds():
            amount = format_amount(command.amount_minor, command.currency)
            expires_at = None if command.expires_ms is None else time_text(command.expires_ms)
            return _Hold(
                command.wallet_id,
                command.hold_id,
                amount,
                command.currency,
                command.payment_id,
                command.saga_version,
                expires_at,
            )
        case CaptureHold():
            return _Capture(
                command.wallet_id,
                command.hold_id,
                format_amount(command.amount_minor, command.currency),
                command.currency,
                command.payment_id,
                command.saga_version,
                command.counterparty,
            )
        case ReleaseHold():
            return _Release(
                command.wallet_id, command.hold_id, command.reason, command.payment_id, command.saga_version
            )
        case ExpireHold():
            return _Expire(command.wallet_id, command.hold_id, time_text(command.expires_ms))


def encode_expiry(command: ExpireHold, *, due_ms: int) -> bytes:
    """Write the command to release a hold that was due at `due_ms`; the same however often it is written."""
    return encode_envelope(
        hold_data(command),
        event_id=expiry_id(command),
        event_type="ExpireHold",
        aggregate_id=command.wallet_id,
        event_version=1,
        append_ms=due_ms,
        correlation_id=command.wallet_id,
        causation_id=None,
    )


def expiry_id(command: ExpireHold) -> EventId:
    """Return the id of the command that releases a hold whose time has come."""
    return derived_id(f"{command.wallet_id}:{command.hold_id}:ExpireHold:{command.expires_ms}")
