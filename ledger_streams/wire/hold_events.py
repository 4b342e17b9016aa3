"""Hold events on wallet-events, and the holds in the contract's `wallet` object.

wallet_events decodes the envelope and calls this module for the events in NAMES.  Records of
a wallet without holds have no `holds`, the same as records from before holds existed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ledger_streams.domain.ids import HoldId, PaymentId, WalletId
from ledger_streams.domain.money import (
    check_currency,
    format_amount,
    parse_amount,
    parse_balance,
    parse_limit,
)
from ledger_streams.domain.wallet import Hold
from ledger_streams.domain.wallet_events import FundsHeld, HoldCaptured, HoldReleased
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    time_text,
)
from ledger_streams.wire.hold_commands import expiry_ms

HoldEvent = FundsHeld | HoldCaptured | HoldReleased
NAMES: Final = frozenset({event.__name__ for event in (FundsHeld, HoldCaptured, HoldReleased)})


class HoldObject(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One hold in the contract's `wallet` object; `amount` is the rest of it."""

    amount: str
    currency: str
    payment_id: PaymentId | None = None
    expires_at: str | None = None


class _Held(msgspec.Struct, gc=False):
    payment_id: PaymentId | None
    hold_id: HoldId
    amount: str
    currency: str
    expires_at: str | None = None


class _Captured(msgspec.Struct, gc=False):
    payment_id: PaymentId
    hold_id: HoldId
    amount: str
    currency: str
    left: str


class _Released(msgspec.Struct, gc=False):
    payment_id: PaymentId | None
    hold_id: HoldId
    amount: str
    currency: str
    reason: str


_held = msgspec.json.Decoder(_Held).decode
_captured = msgspec.json.Decoder(_Captured).decode
_released = msgspec.json.Decoder(_Released).decode


def read_hold_event(envelope: Envelope, wallet_id: WalletId) -> HoldEvent:
    """Decode an event in NAMES; raises Unreadable."""
    version = envelope.event_version
    match envelope.event_type:
        case "FundsHeld":
            held: _Held = decode_with(_held, envelope.data, "data.")
            amount_minor = parse_amount(held.amount, check_currency(held.currency))
            expires_ms = None if held.expires_at is None else expiry_ms(held.expires_at, "data.expires_at")
            money = (amount_minor, held.currency)
            return FundsHeld(wallet_id, version, held.hold_id, *money, held.payment_id, expires_ms)
        case "HoldCaptured":
            taken: _Captured = decode_with(_captured, envelope.data, "data.")
            amount_minor = parse_amount(taken.amount, check_currency(taken.currency))
            left_minor = parse_limit(taken.left, taken.currency, field="data.left")
            return HoldCaptured(
                wallet_id, version, taken.hold_id, amount_minor, taken.currency, taken.payment_id, left_minor
            )
        case _:
            freed: _Released = decode_with(_released, envelope.data, "data.")
            amount_minor = parse_amount(freed.amount, check_currency(freed.currency))
            return HoldReleased(
                wallet_id,
                version,
                freed.hold_id,
                amount_minor,
                freed.currency,
                freed.payment_id,
                freed.reason,
            )


def hold_event_data(event: HoldEvent) -> _Held | _Captured | _Released:
    """Return the `data` of an event."""
    amount = format_amount(event.amount_minor, event.currency)
    match event:
        case FundsHeld():
            expires_at = None if event.expires_ms is None else time_text(event.expires_ms)
            return _Held(event.payment_id, event.hold_id, amount, event.currency, expires_at)
        case HoldCaptured():
            left = format_amount(event.left_minor, event.currency)
            return _Captured(event.payment_id, event.hold_id, amount, event.currency, left)
        case HoldReleased():
            return _Released(event.payment_id, event.hold_id, amount, event.currency, event.reason)


def hold_objects(holds: Mapping[HoldId, Hold]) -> dict[HoldId, HoldObject]:
    """Return the holds for the contract's `wallet` object."""
    return {
        hold_id: HoldObject(
            format_amount(hold.amount_minor, hold.currency),
            hold.currency,
            hold.payment_id,
            None if hold.expires_ms is None else time_text(hold.expires_ms),
        )
        for hold_id, hold in holds.items()
    }


def holds_of(objects: Mapping[HoldId, HoldObject]) -> dict[HoldId, Hold]:
    """Return the holds of a `wallet` object; raises Unreadable or ValueError."""
    return {
        hold_id: Hold(
            parse_balance(hold.amount, hold.currency),
            hold.currency,
            hold.payment_id,
            None if hold.expires_at is None else expiry_ms(hold.expires_at, "wallet.holds"),
        )
        for hold_id, hold in objects.items()
    }
