"""Answers on saga-events: of providers, and of the sagas of refunded payments, to a saga.

saga_events decodes the envelope and calls this module by the event's name.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderReply,
    ProviderTimedOut,
    RefundGranted,
    RefundRefused,
    RefundReply,
)
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.money import check_currency, format_amount, parse_amount
from ledger_streams.domain.request import PaymentKind
from ledger_streams.wire.documents import decode_with
from ledger_streams.wire.envelope import (
    Envelope,
    check_id,
)

PROVIDER_NAMES: Final = frozenset({"ProviderApproved", "ProviderDeclined", "ProviderTimedOut"})
REFUND_NAMES: Final = frozenset({"RefundGranted", "RefundRefused"})


class _Provider(msgspec.Struct, gc=False, omit_defaults=True):
    payment_id: PaymentId
    provider: str
    amount: str
    currency: str
    reason: str = ""
    detail: str | None = None


class _Granted(msgspec.Struct, gc=False):
    payment_id: PaymentId
    refund_of: PaymentId
    amount: str
    currency: str
    kind: PaymentKind
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    provider: str | None


class _Refused(msgspec.Struct, gc=False):
    payment_id: PaymentId
    refund_of: PaymentId
    reason: str
    detail: str


_provider = msgspec.json.Decoder(_Provider).decode
_granted = msgspec.json.Decoder(_Granted).decode
_refused = msgspec.json.Decoder(_Refused).decode


def read_provider_reply(envelope: Envelope) -> ProviderReply:
    """Decode an event in PROVIDER_NAMES; raises Unreadable."""
    data: _Provider = decode_with(_provider, envelope.data, "data.")
    amount_minor = parse_amount(data.amount, check_currency(data.currency))
    about = (data.payment_id, envelope.event_version, data.provider, amount_minor, data.currency)
    match envelope.event_type:
        case "ProviderApproved":
            return ProviderApproved(*about, data.detail)
        case "ProviderDeclined":
            return ProviderDeclined(*about, data.reason, data.detail)
        case _:
            return ProviderTimedOut(*about, data.detail)


def read_refund_reply(envelope: Envelope) -> RefundReply:
    """Decode an event in REFUND_NAMES; raises Unreadable."""
    version = envelope.event_version
    if envelope.event_type == "RefundRefused":
        no: _Refused = decode_with(_refused, envelope.data, "data.")
        return RefundRefused(no.payment_id, version, no.refund_of, no.reason, no.detail)
    yes: _Granted = decode_with(_granted, envelope.data, "data.")
    check_id(yes.refund_of, "data.refund_of")
    return RefundGranted(
        yes.payment_id,
        version,
        yes.refund_of,
        parse_amount(yes.amount, check_currency(yes.currency)),
        yes.currency,
        yes.kind,
        yes.source_wallet_id,
        yes.target_wallet_id,
        yes.provider,
    )


def answer_data(event: ProviderReply | RefundReply) -> _Provider | _Granted | _Refused:
    """Return the `data` of an answer."""
    if isinstance(event, RefundRefused):
        return _Refused(event.payment_id, event.refund_of, event.reason, event.detail)
    amount = format_amount(event.amount_minor, event.currency)
    if isinstance(event, RefundGranted):
        return _Granted(
            event.payment_id,
            event.refund_of,
            amount,
            event.currency,
            event.kind,
            event.source_wallet_id,
            event.target_wallet_id,
            event.provider,
        )
    reason = event.reason if isinstance(event, ProviderDeclined) else ""
    return _Provider(event.payment_id, event.provider, amount, event.currency, reason, event.detail)
