"""Requests inferred from wallet events after the requests themselves were lost.

When the legs describe the whole payment, the request is inferred from them.  A hold is inferred as
a withdrawal with an unknown provider: it stays held until an operator settles it.  All other money
is moved back by reversals, since its destination is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger_streams import wire
from ledger_streams.domain.answers import RefundGranted
from ledger_streams.domain.commands import AddFunds, CaptureHold, Counterparty, DeductFunds
from ledger_streams.domain.ids import WalletId
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted
from ledger_streams.recovery.saga_resume_facts import LostLeg, PaymentFacts, is_half, kind_of, version_of

PROVIDER_UNKNOWN: Final = "unknown"
"""Provider name that is never configured, so the payment waits for manual settlement."""
START_VERSION: Final = 2
"""Version of the first step of a payment that is not a refund."""
REVERSAL_VERSION: Final = 1
"""Version of a reversal command; commands of sagas begin with 2."""


def inferred_request(known: PaymentFacts) -> Mapping[str, Any] | None:
    """Return the smallest request content that explains the facts; None when the legs do not suffice."""
    if known.told is not None:
        told = known.told
        amount = format_amount(told.amount_minor, told.currency)
        about = {"refund_of": told.payment_id, "amount": amount, "currency": told.currency}
        return {"payment_id": known.payment_id, "kind": "refund", **about}
    if known.granted:
        return _request_from_grants(known, known.granted)
    legs = [
        (version_of(known.payment_id, command_id), kind_of(leg), leg[0])
        for command_id, leg in known.legs().items()
    ]
    return _request_from_legs(known, sorted(legs, key=lambda leg: leg[:2])) if legs else None


def _request_from_grants(known: PaymentFacts, granted: Sequence[RefundGranted]) -> Mapping[str, Any]:
    """Return the request of the payment that granted these refunds; they may be all that is known of it."""
    first, amounts = granted[0], [getattr(read.event, "amount_minor", 0) for read in known.wallet_events]
    amount_minor = max(amounts, default=sum(grant.amount_minor for grant in granted))
    amount = format_amount(amount_minor, first.currency)
    wallets = {"source_wallet_id": first.source_wallet_id, "target_wallet_id": first.target_wallet_id}
    content = {
        "payment_id": known.payment_id,
        "kind": first.kind,
        "amount": amount,
        "currency": first.currency,
    }
    return {
        **content,
        **{field: wallet for field, wallet in wallets.items() if wallet},
        "provider": first.provider,
    }


def _request_from_legs(
    known: PaymentFacts, legs: Sequence[tuple[int, str, wire.WalletRecord]]
) -> Mapping[str, Any] | None:
    (version, kind, first), kinds, last = legs[0], [kind for _, kind, _ in legs], legs[-1][2]
    content = {"payment_id": known.payment_id, **_money(first)}
    wallet_id, target = first.envelope.aggregate_id, last.envelope.aggregate_id
    is_external = getattr(first.event, "counterparty", None) is Counterparty.EXTERNAL
    if kinds == ["added"] and is_external:
        by = {} if version == START_VERSION else {"provider": PROVIDER_UNKNOWN}
        return {**content, "kind": "deposit", "target_wallet_id": wallet_id, **by}
    if version != START_VERSION:
        return None
    if kind == "held":
        return {**content, "kind": "withdrawal", "source_wallet_id": wallet_id, "provider": PROVIDER_UNKNOWN}
    if kinds == ["deducted"] and is_external:
        return {**content, "kind": "withdrawal", "source_wallet_id": wallet_id, **_hold(first, known)}
    if kinds == ["deducted", "added"] and target != wallet_id:
        wallets = {"source_wallet_id": wallet_id, "target_wallet_id": target}
        return {**content, "kind": "transfer", **wallets, **_hold(first, known)}
    return None


def reversals(known: PaymentFacts, at_ms: int) -> list[LostLeg]:
    """Return the legs that reverse all movements of the payment in each wallet."""
    moved: Counter[tuple[str, str, Counterparty]] = Counter()
    for read in known.wallet_events:
        event = read.event
        if isinstance(event, (BalanceAdded, BalanceDeducted)):
            sign = 1 if isinstance(event, BalanceAdded) else -1
            moved[event.wallet_id, event.currency, event.counterparty] += sign * event.amount_minor
    found = [
        LostLeg(_capture(leg[0]), 0, at_ms, is_half_known=True)
        for leg in known.legs().values()
        if is_half(leg)
    ]
    for (wallet_id, currency, counterparty), minor in moved.items():
        about = (WalletId(wallet_id), known.payment_id, abs(minor), currency, counterparty, REVERSAL_VERSION)
        if minor:
            found.append(LostLeg(DeductFunds(*about) if minor > 0 else AddFunds(*about), 0, at_ms))
    return found


def _capture(read: wire.WalletRecord) -> CaptureHold:
    """Return the command of a capture with one known event."""
    event = read.event
    assert isinstance(event, BalanceDeducted), "the first event of a capture"
    assert event.hold_id is not None, "a capture's"
    version = version_of(event.payment_id, read.envelope.causation_id or "")
    about = (event.wallet_id, event.payment_id, event.hold_id, event.amount_minor, event.currency)
    return CaptureHold(*about, event.counterparty, version)


def _money(read: wire.WalletRecord) -> dict[str, str]:
    amount_minor, currency = getattr(read.event, "amount_minor", 0), getattr(read.event, "currency", "")
    return {"amount": format_amount(amount_minor, currency), "currency": currency}


def _hold(read: wire.WalletRecord, known: PaymentFacts) -> dict[str, str]:
    hold_id = getattr(read.event, "hold_id", None)
    return {} if hold_id is None or hold_id == known.payment_id else {"hold_id": hold_id}
