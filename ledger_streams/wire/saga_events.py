"""saga-events on the wire: a payment's start, the wallets' replies, its end.

Only the system writes this topic, so records are read strictly: all of the envelope,
and fields of the right type.  The start carries the request's content as it came, byte
for byte, and is checked as the request was: the topic is open to others all the same.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger_streams.domain.events import (
    SagaCompensated,
    SagaCompleted,
    SagaEnd,
    SagaEvent,
    SagaFailed,
    SagaStarted,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
    WalletReply,
)
from ledger_streams.domain.ids import EventId, HoldId, PaymentId, WalletId, derived_id
from ledger_streams.domain.money import check_currency, format_amount, invalid, parse_amount
from ledger_streams.domain.payment import read_request
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    check_id,
    check_key,
    decode_whole,
    encode_envelope,
    time_text,
)
from ledger_streams.wire.saga_answers import (
    PROVIDER_NAMES,
    REFUND_NAMES,
    answer_data,
    read_provider_reply,
    read_refund_reply,
)


class SagaRecord(msgspec.Struct, frozen=True, gc=False):
    """A saga event as read: `event_id` is the cause of what it sets off."""

    event_id: EventId
    event: SagaEvent
    occurred_at: str


class _Reply(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    wallet_id: WalletId
    amount: str
    currency: str
    wallet_version: int
    reason: str = ""
    compensates: bool = False


class _Set(msgspec.Struct, gc=False):
    payment_id: PaymentId
    wallet_id: WalletId
    amount: str
    currency: str
    wallet_version: int
    hold_id: HoldId


class _End(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    amount: str | None = None
    currency: str | None = None
    reason: str = ""
    detail: str | None = None


_HOLD_REPLIES: Final[dict[str, type[WalletHeld | WalletReleased]]] = {
    reply.__name__: reply for reply in (WalletHeld, WalletReleased)
}
_REPLIES: Final = {
    reply.__name__: reply
    for reply in (WalletDeducted, WalletDeductionRefused, WalletCredited, WalletCreditRefused)
}
_reply = msgspec.json.Decoder(_Reply).decode
_set = msgspec.json.Decoder(_Set).decode
_end = msgspec.json.Decoder(_End).decode


def read_saga_event(value: bytes | None, *, key: bytes | None) -> SagaRecord:
    """Read any saga event; raises Unreadable."""
    envelope, data = decode_whole(value)
    event: SagaEvent
    if envelope.event_type in _REPLIES:
        event = _read_reply(envelope)
    elif envelope.event_type == "SagaStarted":
        event = SagaStarted(read_request(data), envelope.data, envelope.event_version)
    elif envelope.event_type in _HOLD_REPLIES:
        event = _read_hold_reply(envelope)
    elif envelope.event_type in PROVIDER_NAMES:
        event = read_provider_reply(envelope)
    elif envelope.event_type in REFUND_NAMES:
        event = read_refund_reply(envelope)
    else:
        event = _read_end(envelope)
    if envelope.aggregate_id != event.payment_id:
        raise invalid("aggregate_id", "is not data.payment_id")
    check_key(key, event.payment_id, "data.payment_id")
    if event.version < 1:
        raise invalid("event_version", "must be positive")
    return SagaRecord(EventId(envelope.event_id), event, envelope.occurred_at)


def _read_reply(envelope: Envelope) -> WalletReply:
    data: _Reply = decode_with(_reply, envelope.data, "data.")
    check_id(data.wallet_id, "data.wallet_id")
    currency = check_currency(data.currency)
    amount_minor = parse_amount(data.amount, currency)
    version, wallet_version = envelope.event_version, data.wallet_version
    about = (data.payment_id, version, data.wallet_id, amount_minor, currency, wallet_version)
    match envelope.event_type:
        case "WalletDeducted":
            return WalletDeducted(*about)
        case "WalletCredited":
            return WalletCredited(*about, data.compensates)
        case "WalletDeductionRefused":
            return WalletDeductionRefused(*about, data.reason)
        case _:
            return WalletCreditRefused(*about, data.reason, data.compensates)


def _read_hold_reply(envelope: Envelope) -> WalletHeld | WalletReleased:
    data: _Set = decode_with(_set, envelope.data, "data.")
    check_id(data.wallet_id, "data.wallet_id")
    return _HOLD_REPLIES[envelope.event_type](
        data.payment_id,
        envelope.event_version,
        data.wallet_id,
        parse_amount(data.amount, check_currency(data.currency)),
        data.currency,
        data.wallet_version,
        data.hold_id,
    )


def _read_end(envelope: Envelope) -> SagaCompensated | SagaCompleted | SagaFailed:
    data: _End = decode_with(_end, envelope.data, "data.")
    amount_minor = None
    if data.amount is not None or envelope.event_type != "SagaFailed":
        amount_minor = parse_amount(data.amount, check_currency(data.currency))
    match envelope.event_type, amount_minor, data.currency:
        case "SagaCompleted", int(amount_minor), str(currency):
            return SagaCompleted(data.payment_id, envelope.event_version, amount_minor, currency)
        case "SagaCompensated", int(amount_minor), str(currency):
            return SagaCompensated(
                data.payment_id, envelope.event_version, amount_minor, currency, data.reason
            )
        case "SagaFailed", _, currency:
            return SagaFailed(
                data.payment_id, envelope.event_version, data.reason, amount_minor, currency, data.detail
            )
    raise invalid("event_type", "is none that saga-events has")


def encode_saga_event(event: SagaEvent, *, causation_id: str | None, append_ms: int) -> bytes:
    """Write a saga event, its cause appended at `append_ms`; None for a cause whose id was unreadable."""
    return write_saga_event(event, causation_id=causation_id, append_ms=append_ms)[0]


def write_saga_event(
    event: SagaEvent, *, causation_id: str | None, append_ms: int
) -> tuple[bytes, SagaRecord]:
    """Write a saga event as `encode_saga_event` does; return with it what will be read from it."""
    payment_id, event_id = event.payment_id, saga_event_id(event)
    value = encode_envelope(
        _data_of(event),
        event_id=event_id,
        event_type=type(event).__name__,
        aggregate_id=payment_id,
        event_version=event.version,
        append_ms=append_ms,
        correlation_id=payment_id,
        causation_id=causation_id,
    )
    return value, SagaRecord(event_id, event, time_text(append_ms))


def saga_event_id(event: SagaEvent) -> EventId:
    """Return the id that the event has on the wire."""
    return derived_id(f"{event.payment_id}:{type(event).__name__}:{event.version}")


def _data_of(event: SagaEvent) -> Any:
    match event:
        case SagaStarted():
            return event.data
        case WalletDeducted() | WalletCredited() | WalletDeductionRefused() | WalletCreditRefused():
            return _reply_data(event)
        case WalletHeld() | WalletReleased():
            amount = format_amount(event.amount_minor, event.currency)
            wallet = (event.wallet_id, amount, event.currency, event.wallet_version)
            return _Set(event.payment_id, *wallet, event.hold_id)
        case SagaFailed() | SagaCompleted() | SagaCompensated():
            return _end_data(event)
        case _:
            return answer_data(event)


def _end_data(event: SagaEnd) -> _End:
    match event:
        case SagaFailed(amount_minor=int(amount_minor), currency=str(currency)):
            amount = format_amount(amount_minor, currency)
            return _End(event.payment_id, amount, currency, event.reason, event.detail)
        case SagaFailed():
            return _End(event.payment_id, None, None, event.reason, event.detail)
        case SagaCompleted():
            return _End(event.payment_id, format_amount(event.amount_minor, event.currency), event.currency)
        case SagaCompensated():
            amount = format_amount(event.amount_minor, event.currency)
            return _End(event.payment_id, amount, event.currency, event.reason)


def _reply_data(
    event: WalletDeducted | WalletCredited | WalletDeductionRefused | WalletCreditRefused,
) -> _Reply:
    return _Reply(
        event.payment_id,
        event.wallet_id,
        format_amount(event.amount_minor, event.currency),
        event.currency,
        event.wallet_version,
        event.reason if isinstance(event, (WalletDeductionRefused, WalletCreditRefused)) else "",
        isinstance(event, (WalletCredited, WalletCreditRefused)) and event.compensates,
    )
