"""Payment: validates a request and decides whether it is new.

The content of a payment is its `data`.  Invalid content is Unreadable, with the field named.
Valid content that cannot be executed has a reason, and its saga fails.  One payment_id has one
content: the fingerprint, stored for ever, distinguishes a repetition (ignored) from another
payment under the same id (parked).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from ledger_streams.domain.events import SagaFailed, SagaStarted
from ledger_streams.domain.ids import EventId, HoldId, PaymentId, UserId, WalletId, is_canonical_id
from ledger_streams.domain.money import check_currency, invalid, parse_amount, with_all_digits
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind, PaymentRequest
from ledger_streams.errors import Unreadable

PROVIDER_CHARACTERS_MAX: Final = 100
"""A provider's name is a label of metrics and part of a key."""

FINGERPRINT_INVALID: Final = "invalid"
"""Fingerprint of a payment whose first request was invalid; equals no other fingerprint."""

OUT_OF_A_WALLET: Final = frozenset({PaymentKind.TRANSFER, PaymentKind.WITHDRAWAL})
INTO_A_WALLET: Final = frozenset({PaymentKind.TRANSFER, PaymentKind.DEPOSIT})
BY_A_PROVIDER: Final = frozenset({PaymentKind.DEPOSIT, PaymentKind.WITHDRAWAL})

FIELDS: Final = (
    "payment_id",
    "kind",
    "source_wallet_id",
    "target_wallet_id",
    "amount",
    "currency",
    "provider",
    "user_id",
    "hold_id",
    "refund_of",
    "metadata",
)
"""The fields that `read_request` reads.  HTTP and imports reject others by name, topics keep them."""

_KINDS: Final[Mapping[str, PaymentKind]] = {kind.value: kind for kind in PaymentKind}
_canonical_json = msgspec.json.Encoder(order="sorted").encode


class PaymentRequested(msgspec.Struct, frozen=True, gc=False):
    """A request as received: `data` is its content as JSON, unchanged, `fingerprint` the digest of it."""

    event_id: EventId
    request: PaymentRequest
    data: msgspec.Raw
    fingerprint: str
    occurred_at: str
    """RFC 3339, as received."""
    correlation_id: str
    causation_id: str | None


class PaymentKnown(msgspec.Struct, frozen=True, gc=False):
    """The permanent state of a payment: the fingerprint of the first content under its id."""

    fingerprint: str


def decide(
    known: PaymentKnown | None, requested: PaymentRequested, *, providers: Container[str]
) -> SagaStarted | SagaFailed | None:
    """Return the first event of a new payment's saga, its start or failure; None for a repetition.

    `providers` are the configured names, checked here once, before any provider is called.
    Raises Unreadable `duplicate_mismatch` when the id is known with other content.
    """
    request = requested.request
    if known is not None:
        if known.fingerprint == requested.fingerprint:
            return None
        raise Unreadable(
            reason=Reason.DUPLICATE_MISMATCH,
            detail="data: this payment_id exists with other content",
            payment_id=request.payment_id,
        )
    reason = impossible_reason(request, providers)
    if reason is not None:
        return SagaFailed(payment_id=request.payment_id, version=1, reason=reason)
    return SagaStarted(request=request, data=requested.data)


def evolve(known: PaymentKnown | None, requested: PaymentRequested) -> PaymentKnown:
    """Return the known payment after `requested`: the first content stays."""
    return known or PaymentKnown(fingerprint=requested.fingerprint)


def decide_unreadable(known: PaymentKnown | None, error: Unreadable) -> SagaFailed | None:
    """Return the failure of an unreadable request's payment, beside its dead letter; None if it is known.

    The payment is then stored as `PaymentKnown(FINGERPRINT_INVALID)`.
    """
    if known is not None or error.payment_id is None:
        return None
    payment_id = PaymentId(error.payment_id)
    return SagaFailed(payment_id=payment_id, version=1, reason=error.reason, detail=error.detail)


def impossible_reason(request: PaymentRequest, providers: Container[str]) -> Reason | None:
    """Return why a valid request cannot be executed, independent of the wallets; None if it can."""
    if request.source_wallet_id is not None and request.source_wallet_id == request.target_wallet_id:
        return Reason.SAME_WALLET
    if request.provider is not None and request.provider not in providers:
        return Reason.PROVIDER_UNAVAILABLE
    return None


def fingerprint(data: Mapping[str, Any]) -> str:
    """Return the digest of a valid request's content.

    The order of fields, nulls, empty metadata and trailing zeros of the amount do not change it.
    """
    content = {field: value for field, value in data.items() if value is not None}
    if content.get("metadata") == {}:
        del content["metadata"]
    if "amount" in content:
        content["amount"] = with_all_digits(content["amount"], content["currency"])
    return sha256(_canonical_json(content)).hexdigest()[:32]


def read_request(data: Mapping[str, Any], *, at: str = "data.") -> PaymentRequest:
    """Check a payment's content and return it typed; `at` goes before a field's name in errors.

    Raises Unreadable `invalid`.  Ignores unknown fields.
    """
    payment_id = PaymentId(_id(data, "payment_id", at))
    kind = _kind(data.get("kind"), at)
    amount_minor, currency = _money(data, kind, at)
    metadata = data.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise invalid(f"{at}metadata", "must be an object or null")
    provider, user_id = _provider(data.get("provider"), kind, at), data.get("user_id")
    hold_id = data.get("hold_id")
    if hold_id is not None and (kind not in OUT_OF_A_WALLET or provider is not None):
        raise invalid(
            f"{at}hold_id", "must be omitted: only a transfer or withdrawal without a provider uses a hold"
        )
    return PaymentRequest(
        payment_id,
        kind,
        amount_minor,
        currency,
        _wallet(data, "source_wallet_id", at, wanted=kind in OUT_OF_A_WALLET, kind=kind),
        _wallet(data, "target_wallet_id", at, wanted=kind in INTO_A_WALLET, kind=kind),
        provider,
        None if user_id is None else UserId(_id(data, "user_id", at)),
        None if hold_id is None else HoldId(_id(data, "hold_id", at)),
        _refund_of(data, kind, at),
    )


def _money(data: Mapping[str, Any], kind: PaymentKind, at: str) -> tuple[int, str]:
    """Return amount and currency; a refund may omit the amount, or both."""
    if kind is PaymentKind.REFUND and data.get("amount") is None:
        named = data.get("currency")
        return 0, "" if named is None else check_currency(named, field=f"{at}currency")
    currency = check_currency(data.get("currency"), field=f"{at}currency")
    return parse_amount(data.get("amount"), currency, field=f"{at}amount"), currency


def _provider(provider: object, kind: PaymentKind, at: str) -> str | None:
    if provider is None:
        return None
    if not isinstance(provider, str) or not 1 <= len(provider) <= PROVIDER_CHARACTERS_MAX:
        raise invalid(f"{at}provider", f"must be null or text of 1 to {PROVIDER_CHARACTERS_MAX} characters")
    if kind not in BY_A_PROVIDER:
        raise invalid(f"{at}provider", f"must be omitted or null in a {kind}")
    return provider


def _refund_of(data: Mapping[str, Any], kind: PaymentKind, at: str) -> PaymentId | None:
    if kind is PaymentKind.REFUND:
        return PaymentId(_id(data, "refund_of", at))
    if data.get("refund_of") is not None:
        raise invalid(f"{at}refund_of", f"must be omitted or null in a {kind}")
    return None


def _kind(kind: object, at: str) -> PaymentKind:
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise invalid(f"{at}kind", f"must be one of {', '.join(_KINDS)}")
    return known


def _wallet(
    data: Mapping[str, Any], field: str, at: str, *, wanted: bool, kind: PaymentKind
) -> WalletId | None:
    if wanted:
        return WalletId(_id(data, field, at))
    if data.get(field) is not None:
        raise invalid(f"{at}{field}", f"must be omitted or null in a {kind}")
    return None


def _id(data: Mapping[str, Any], field: str, at: str) -> str:
    value = data.get(field)
    if not is_canonical_id(value):
        raise invalid(f"{at}{field}", "must be a UUID, lower-case and hyphenated")
    return value
