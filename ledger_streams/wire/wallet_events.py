"""wallet-events on the wire: one event and the wallet's state after it.

The topic is the wallets' history and, the last record of a wallet taken alone, its
present: `read_wallet` takes the state from a record for recovery, `read_wallet_event`
the event as well for projections.  Only the wallets agent writes it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import EventId, HoldId, PaymentId, UserId, WalletId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.wallet import Wallet
from ledger_streams.domain.wallet_events import (
    BalanceAdded,
    BalanceDeducted,
    FundsHeld,
    HoldCaptured,
    HoldReleased,
    LimitsChanged,
    WalletClosed,
    WalletCommandRefused,
    WalletEvent,
    WalletFrozen,
    WalletOpened,
    WalletReopened,
    WalletReopeningProposed,
    WalletUnfrozen,
)
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    check_id,
    check_key,
    decode_envelope,
    encode_envelope,
)
from ledger_streams.wire.hold_events import NAMES as HOLD_EVENTS
from ledger_streams.wire.hold_events import hold_event_data, read_hold_event
from ledger_streams.wire.reopenings import EVENTS as REOPENING_EVENTS
from ledger_streams.wire.reopenings import read_reopening_event, reopening_event_data
from ledger_streams.wire.wallet_commands import checked_limits, limits_text
from ledger_streams.wire.wallet_objects import WalletObject, wallet_object, wallet_of


class WalletRecord(msgspec.Struct, frozen=True, gc=False):
    """A wallet event as read, the state after it, and its envelope with `data` and `wallet` as JSON."""

    event: WalletEvent
    wallet: Wallet
    envelope: Envelope


class _Money(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    amount: str
    currency: str
    counterparty: Counterparty
    hold_id: HoldId | None = None


class _Opened(msgspec.Struct, gc=False):
    payment_id: None
    user_id: UserId
    currencies: list[str]
    overdraft_limits: dict[str, str]


class _Reasoned(msgspec.Struct, gc=False):
    payment_id: None
    reason: str


class _Limits(msgspec.Struct, gc=False):
    payment_id: None
    overdraft_limits: dict[str, str]


class _Refused(msgspec.Struct, gc=False):
    payment_id: None
    command: str
    reason: str
    detail: str


class _StateOnly(msgspec.Struct, gc=False):
    aggregate_id: WalletId
    wallet: WalletObject


_money = msgspec.json.Decoder(_Money).decode
_opened = msgspec.json.Decoder(_Opened).decode
_reasoned = msgspec.json.Decoder(_Reasoned).decode
_limits = msgspec.json.Decoder(_Limits).decode
_refused = msgspec.json.Decoder(_Refused).decode
_wallet = msgspec.json.Decoder(WalletObject).decode
_state_only = msgspec.json.Decoder(_StateOnly).decode

_ReasonedEvent = WalletFrozen | WalletUnfrozen | WalletClosed | WalletReopeningProposed | WalletReopened
_MOVEMENTS: Final = frozenset({"BalanceAdded", "BalanceDeducted"})
_REASONED: Final[dict[str, type[WalletFrozen | WalletUnfrozen | WalletClosed]]] = {
    event.__name__: event for event in (WalletFrozen, WalletUnfrozen, WalletClosed)
}


def read_wallet(value: bytes | None) -> Wallet:
    """Read the state that a record carries, for recovery; raises Unreadable."""
    if value is None:
        raise invalid("value", "is empty; wallet-events has no tombstones")
    record: _StateOnly = decode_with(_state_only, value)
    return wallet_of(record.aggregate_id, record.wallet)


def read_wallet_event(value: bytes | None, *, key: bytes | None) -> WalletRecord:
    """Read an event and the state after it; raises Unreadable."""
    envelope = decode_envelope(value)
    if not bytes(envelope.wallet):
        raise invalid("wallet", "is missing")
    wallet_id = WalletId(envelope.aggregate_id)
    check_key(key, wallet_id, "aggregate_id")
    wallet = wallet_of(wallet_id, decode_with(_wallet, envelope.wallet, "wallet."))
    if wallet.version != envelope.event_version:
        raise invalid("wallet.version", "is not event_version")
    return WalletRecord(_read(envelope, wallet_id), wallet, envelope)


def _read(envelope: Envelope, wallet_id: WalletId) -> WalletEvent:
    name, version, data = envelope.event_type, envelope.event_version, envelope.data
    if name in _MOVEMENTS:
        return _read_movement(envelope, wallet_id)
    if name in HOLD_EVENTS:
        return read_hold_event(envelope, wallet_id)
    if name in _REASONED or name in REOPENING_EVENTS:
        return _read_reasoned(envelope, wallet_id)
    match name:
        case "WalletOpened":
            opened: _Opened = decode_with(_opened, data, "data.")
            limits = checked_limits(opened.overdraft_limits, at="data.")
            currencies = tuple(check_currency(code) for code in opened.currencies)
            return WalletOpened(wallet_id, version, opened.user_id, currencies, limits)
        case "LimitsChanged":
            changed: _Limits = decode_with(_limits, data, "data.")
            return LimitsChanged(wallet_id, version, checked_limits(changed.overdraft_limits, at="data."))
        case "WalletCommandRefused":
            refused: _Refused = decode_with(_refused, data, "data.")
            return WalletCommandRefused(wallet_id, version, refused.command, refused.reason, refused.detail)
        case _:
            raise invalid("event_type", "is none that wallet-events has")


def _read_reasoned(envelope: Envelope, wallet_id: WalletId) -> WalletEvent:
    name, version, data = envelope.event_type, envelope.event_version, envelope.data
    if name in REOPENING_EVENTS:
        return read_reopening_event(name, data, wallet_id, version)
    return _REASONED[name](wallet_id, version, decode_with(_reasoned, data, "data.").reason)


def _read_movement(envelope: Envelope, wallet_id: WalletId) -> BalanceAdded | BalanceDeducted:
    data: _Money = decode_with(_money, envelope.data, "data.")
    check_id(data.payment_id, "data.payment_id")
    currency = check_currency(data.currency)
    amount_minor, version = parse_amount(data.amount, currency), envelope.event_version
    if envelope.event_type == "BalanceAdded":
        return BalanceAdded(wallet_id, version, data.payment_id, amount_minor, currency, data.counterparty)
    return BalanceDeducted(
        wallet_id, version, data.payment_id, amount_minor, currency, data.counterparty, data.hold_id
    )


def encode_wallet_event(event: WalletEvent, wallet: Wallet, *, command_id: str, append_ms: int) -> bytes:
    """Write `event` with `wallet`, the state after it; the command was appended at `append_ms`."""
    name = type(event).__name__
    return encode_envelope(
        _data_of(event),
        event_id=wallet_event_id(command_id, name),
        event_type=name,
        aggregate_id=event.wallet_id,
        event_version=event.version,
        append_ms=append_ms,
        correlation_id=getattr(event, "payment_id", None) or event.wallet_id,
        causation_id=command_id,
        wallet=wallet_object(wallet),
    )


def wallet_event_id(command_id: str, event_type: str) -> EventId:
    """Return the id of the event that a command causes."""
    return derived_id(f"{command_id}:{event_type}")


def _data_of(event: WalletEvent) -> Any:
    match event:
        case BalanceAdded() | BalanceDeducted():
            amount = format_amount(event.amount_minor, event.currency)
            hold_id = event.hold_id if isinstance(event, BalanceDeducted) else None
            return _Money(event.payment_id, amount, event.currency, event.counterparty, hold_id)
        case FundsHeld() | HoldCaptured() | HoldReleased():
            return hold_event_data(event)
        case WalletOpened():
            limits = limits_text(event.overdraft_limits)
            return _Opened(None, event.user_id, list(event.currencies), limits)
        case LimitsChanged():
            return _Limits(None, limits_text(event.overdraft_limits))
        case WalletCommandRefused():
            return _Refused(None, event.command, event.reason, event.detail)
        case _:
            return _reasoned_data(event)


def _reasoned_data(event: _ReasonedEvent) -> Any:
    if isinstance(event, (WalletReopeningProposed, WalletReopened)):
        return reopening_event_data(event)
    return _Reasoned(None, event.reason)
