"""wallet-commands on the wire: what sagas and the API ask of a wallet.

The envelope is that of events; its event_type is the command's name and its event_id
the command's id, from which the id of the wallet's event is derived.  Key, aggregate_id
and data.wallet_id are one wallet or the record is Unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger_streams.domain.commands import (
    AddFunds,
    AdministrativeCommand,
    ApproveReopening,
    ChangeLimits,
    CloseWallet,
    Counterparty,
    DeductFunds,
    FreezeWallet,
    FundsCommand,
    HoldCommand,
    HoldFunds,
    LegCommand,
    OpenWallet,
    ProposeReopening,
    ReleaseHold,
    UnfreezeWallet,
    WalletCommand,
)
from ledger_streams.domain.ids import EventId, PaymentId, UserId, WalletId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount, parse_limit
from ledger_streams.wire import hold_commands, reopenings
from ledger_streams.wire.document_parts import check_text
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    Version,
    check_id,
    check_key,
    decode_envelope,
    encode_envelope,
)

REASON_CHARACTERS_MAX: Final = 500


class CommandRecord(msgspec.Struct, frozen=True, gc=False):
    """A command as read."""

    command_id: EventId
    command: WalletCommand


class _Leg(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    wallet_id: WalletId
    amount: str
    currency: str
    counterparty: Counterparty
    saga_version: Version
    compensates: bool = False


class _Open(msgspec.Struct, gc=False):
    wallet_id: WalletId
    user_id: UserId
    currencies: list[str]
    overdraft_limits: dict[str, str] = {}


class _Reasoned(msgspec.Struct, gc=False):
    wallet_id: WalletId
    reason: str


class _Limits(msgspec.Struct, gc=False):
    wallet_id: WalletId
    overdraft_limits: dict[str, str]


_leg = msgspec.json.Decoder(_Leg).decode
_open = msgspec.json.Decoder(_Open).decode
_reasoned = msgspec.json.Decoder(_Reasoned).decode
_limits = msgspec.json.Decoder(_Limits).decode
_REASONED: Final[dict[str, type[FreezeWallet | UnfreezeWallet | CloseWallet]]] = {
    command.__name__: command for command in (FreezeWallet, UnfreezeWallet, CloseWallet)
}


def read_wallet_command(value: bytes | None, *, key: bytes | None) -> CommandRecord:
    """Read any command; raises Unreadable."""
    envelope = decode_envelope(value)
    command = _read(envelope)
    if envelope.aggregate_id != command.wallet_id:
        raise invalid("aggregate_id", "is not data.wallet_id")
    check_key(key, command.wallet_id, "data.wallet_id")
    return CommandRecord(EventId(envelope.event_id), command)


def _read(envelope: Envelope) -> WalletCommand:
    match envelope.event_type:
        case "DeductFunds" | "AddFunds":
            return _read_leg(envelope)
        case "OpenWallet":
            data: _Open = decode_with(_open, envelope.data, "data.")
            return checked_open(
                data.wallet_id, data.user_id, data.currencies, data.overdraft_limits, at="data."
            )
        case "ChangeLimits":
            change: _Limits = decode_with(_limits, envelope.data, "data.")
            limits = checked_limits(change.overdraft_limits, at="data.")
            return ChangeLimits(change.wallet_id, limits)
        case name if name in hold_commands.NAMES:
            return hold_commands.read_hold_command(name, envelope.data)
        case name if name in reopenings.COMMANDS:
            return reopenings.read_reopening_command(name, envelope.data)
        case name if name in _REASONED:
            reasoned: _Reasoned = decode_with(_reasoned, envelope.data, "data.")
            return _REASONED[name](reasoned.wallet_id, checked_reason(reasoned.reason, at="data."))
        case _:
            raise invalid("event_type", "is none that wallet-commands has")


def _read_leg(envelope: Envelope) -> FundsCommand:
    data: _Leg = decode_with(_leg, envelope.data, "data.")
    check_id(data.payment_id, "data.payment_id")
    currency = check_currency(data.currency)
    money = (parse_amount(data.amount, currency), currency)
    step = (data.counterparty, data.saga_version)
    if envelope.event_type == "DeductFunds":
        return DeductFunds(data.wallet_id, data.payment_id, *money, *step)
    return AddFunds(data.wallet_id, data.payment_id, *money, *step, data.compensates)


def checked_open(
    wallet_id: str, user_id: str, currencies: object, overdraft_limits: object, *, at: str
) -> OpenWallet:
    """Check what a wallet shall be opened with; `at` goes before a field's name.  Raises Unreadable."""
    check_id(wallet_id, f"{at}wallet_id")
    check_id(user_id, f"{at}user_id")
    if not isinstance(currencies, list) or not currencies:
        raise invalid(f"{at}currencies", "must be a list of one currency or more")
    codes = tuple(check_currency(code, field=f"{at}currencies") for code in currencies)
    if len(set(codes)) != len(codes):
        raise invalid(f"{at}currencies", "names a currency twice")
    limits = checked_limits(overdraft_limits, at=at)
    if not limits.keys() <= set(codes):
        raise invalid(f"{at}overdraft_limits", "names a currency that the wallet does not have")
    return OpenWallet(WalletId(wallet_id), UserId(user_id), codes, limits)


def checked_limits(overdraft_limits: object, *, at: str) -> dict[str, int]:
    """Return overdraft limits, decimal strings by currency, in minor units.  Raises Unreadable."""
    field = f"{at}overdraft_limits"
    if not isinstance(overdraft_limits, Mapping):
        raise invalid(field, "must be an object of decimal strings by currency")
    return {
        check_currency(code, field=field): parse_limit(text, code, field=f"{field}.{code}")
        for code, text in overdraft_limits.items()
    }


def checked_reason(reason: object, *, at: str) -> str:
    """Check the reason of an administrative command.  Raises Unreadable."""
    if not isinstance(reason, str) or len(reason) > REASON_CHARACTERS_MAX:
        raise invalid(f"{at}reason", f"must be text of at most {REASON_CHARACTERS_MAX} characters")
    check_text(reason, f"{at}reason")
    return reason


def encode_command(command: LegCommand, *, causation_id: str | None, append_ms: int) -> bytes:
    """Write a leg of a payment, caused by the saga event `causation_id` appended at `append_ms`."""
    return write_command(command, causation_id=causation_id, append_ms=append_ms)[0]


def write_command(
    command: LegCommand, *, causation_id: str | None, append_ms: int
) -> tuple[bytes, CommandRecord]:
    """Write a leg as `encode_command` does; return with it what will be read from it."""
    event_id = command_id(command)
    value = encode_envelope(
        _leg_data(command),
        event_id=event_id,
        event_type=type(command).__name__,
        aggregate_id=command.wallet_id,
        event_version=command.saga_version or 1,
        append_ms=append_ms,
        correlation_id=command.payment_id or command.wallet_id,
        causation_id=causation_id,
    )
    return value, CommandRecord(event_id, command)


def command_id(command: LegCommand) -> EventId:
    """Return the id that a leg of a payment has on the wire."""
    return derived_id(f"{command.payment_id}:{type(command).__name__}:{command.saga_version}")


def encode_administrative(
    command: AdministrativeCommand | HoldFunds | ReleaseHold, *, command_id: str, occurred_ms: int
) -> bytes:
    """Write an administrative command, or one about a caller's hold, under the id its sender has given it."""
    return encode_envelope(
        _administrative_data(command),
        event_id=command_id,
        event_type=type(command).__name__,
        aggregate_id=command.wallet_id,
        event_version=1,
        append_ms=occurred_ms,
        correlation_id=command.wallet_id,
        causation_id=None,
    )


def _leg_data(command: LegCommand) -> Any:
    if isinstance(command, HoldCommand):
        return hold_commands.hold_data(command)
    return _Leg(
        command.payment_id,
        command.wallet_id,
        format_amount(command.amount_minor, command.currency),
        command.currency,
        command.counterparty,
        command.saga_version,
        isinstance(command, AddFunds) and command.compensates,
    )


def _administrative_data(command: AdministrativeCommand | HoldFunds | ReleaseHold) -> Any:
    match command:
        case HoldFunds() | ReleaseHold():
            return hold_commands.hold_data(command)
        case ProposeReopening() | ApproveReopening():
            return reopenings.reopening_command_data(command)
        case OpenWallet():
            limits = limits_text(command.overdraft_limits)
            return _Open(command.wallet_id, command.user_id, list(command.currencies), limits)
        case ChangeLimits():
            return _Limits(command.wallet_id, limits_text(command.overdraft_limits))
        case _:
            return _Reasoned(command.wallet_id, command.reason)


def limits_text(limits: Mapping[str, int]) -> dict[str, str]:
    """Write overdraft limits in minor units as decimal strings."""
    return {currency: format_amount(minor, currency) for currency, minor in limits.items()}
