"""Saga: the course of one payment, one step at a time, to an end.

`evolve` is the table NEXT below: kind, status and reply say the next status.  What a
saga sends depends only on the status it enters, so `decide` is that transition and what
its arrival sets off.  Versions count the saga's events: a command bears the version that
its reply will have, so a reply fits exactly one step.  A saga that has taken money ends
only when the money has arrived or is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from ledger_streams.domain.commands import AddFunds, Counterparty, DeductFunds, LegCommand
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentKind,
    PaymentOutcome,
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
    WalletReply,
)
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.errors import InvariantBroken


class SagaStatus(StrEnum):
    """Where a saga stands; the members say where they go next."""

    DEDUCTING = "deducting"
    """-> CREDITING (transfer), COMPLETED (withdrawal), FAILED"""
    CREDITING = "crediting"
    """-> COMPLETED, COMPENSATING (transfer), FAILED (deposit)"""
    COMPENSATING = "compensating"
    """-> COMPENSATED"""
    COMPLETED = "completed"
    """the end: the money has arrived"""
    FAILED = "failed"
    """the end: no money has moved"""
    COMPENSATED = "compensated"
    """the end: the money is back"""


ENDS: Final = frozenset({SagaStatus.COMPLETED, SagaStatus.FAILED, SagaStatus.COMPENSATED})

NEXT: Final[Mapping[tuple[PaymentKind, SagaStatus, type[WalletReply]], SagaStatus]] = {
    (PaymentKind.TRANSFER, SagaStatus.DEDUCTING, WalletDeducted): SagaStatus.CREDITING,
    (PaymentKind.TRANSFER, SagaStatus.DEDUCTING, WalletDeductionRefused): SagaStatus.FAILED,
    (PaymentKind.TRANSFER, SagaStatus.CREDITING, WalletCredited): SagaStatus.COMPLETED,
    (PaymentKind.TRANSFER, SagaStatus.CREDITING, WalletCreditRefused): SagaStatus.COMPENSATING,
    (PaymentKind.TRANSFER, SagaStatus.COMPENSATING, WalletCredited): SagaStatus.COMPENSATED,
    (PaymentKind.DEPOSIT, SagaStatus.CREDITING, WalletCredited): SagaStatus.COMPLETED,
    (PaymentKind.DEPOSIT, SagaStatus.CREDITING, WalletCreditRefused): SagaStatus.FAILED,
    (PaymentKind.WITHDRAWAL, SagaStatus.DEDUCTING, WalletDeducted): SagaStatus.COMPLETED,
    (PaymentKind.WITHDRAWAL, SagaStatus.DEDUCTING, WalletDeductionRefused): SagaStatus.FAILED,
}


class Saga(msgspec.Struct, frozen=True, gc=False):
    """A payment's course so far."""

    payment_id: PaymentId
    kind: PaymentKind
    status: SagaStatus
    version: int
    """Of the reply awaited; of the last event once it has ended."""
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    started_ms: int
    updated_ms: int
    """When it was started and last moved: the append time of the record that did it."""
    replies: tuple[str, ...] = ()
    """Names of the replies taken, that of version 2 first."""
    wallets: Mapping[str, int] = {}
    """The version of each wallet whose balance it has changed, after the change."""
    reason: str | None = None
    """Why it fails or compensates: the reason of the first refusal."""


class SagaDecision(msgspec.Struct, frozen=True, gc=False):
    """The saga's next state (None: it stays as it is) and what is sent, in this order."""

    saga: Saga | None = None
    command: LegCommand | None = None
    events: tuple[SagaEnd, ...] = ()
    outcome: PaymentOutcome | None = None


NOTHING: Final = SagaDecision()
"""A repetition, or one of the saga's own events come back."""


def decide(saga: Saga | None, event: SagaEvent, *, at_ms: int) -> SagaDecision:
    """Say what `event` sets off in its payment's saga (None: unknown); change nothing.

    A repetition and a saga's own events set off nothing.  A reply that fits no step taken
    or awaited raises InvariantBroken: money has moved that no saga knows of.
    """
    if isinstance(event, WalletReply):
        if saga is None:
            raise InvariantBroken(f"{type(event).__name__} of payment {event.payment_id}, which has no saga")
        if _is_repetition(saga, event):
            return NOTHING
        return _entered(evolve(saga, event, at_ms=at_ms))
    if saga is None and isinstance(event, SagaStarted):
        return _entered(evolve(None, event, at_ms=at_ms))
    if saga is None and isinstance(event, SagaFailed) and event.version == 1:
        return SagaDecision(outcome=PaymentFailed(event.payment_id, event.reason, {}, event.detail))
    return NOTHING


def evolve(saga: Saga | None, event: SagaStarted | WalletReply, *, at_ms: int) -> Saga:
    """Return the saga after `event`, which must start it or be the reply it awaits."""
    if isinstance(event, SagaStarted):
        return _started(saga, event, at_ms)
    if saga is None:
        raise InvariantBroken(f"payment {event.payment_id} has no saga")
    status = NEXT.get((saga.kind, saga.status, type(event)))
    if status is None or not _fits(saga, event):
        raise InvariantBroken(
            f"payment {saga.payment_id}, {saga.status} at version {saga.version}, "
            f"does not await {type(event).__name__} {event.version} of wallet {event.wallet_id}"
        )
    wallets, reason = saga.wallets, saga.reason
    if isinstance(event, (WalletDeductionRefused, WalletCreditRefused)):
        reason = event.reason
    else:
        wallets = {**wallets, event.wallet_id: event.wallet_version}
    return Saga(
        saga.payment_id,
        saga.kind,
        status,
        saga.version + (2 if status is SagaStatus.COMPENSATED else 1),
        saga.amount_minor,
        saga.currency,
        saga.source_wallet_id,
        saga.target_wallet_id,
        saga.started_ms,
        at_ms,
        (*saga.replies, type(event).__name__),
        wallets,
        reason,
    )


def _started(saga: Saga | None, event: SagaStarted, at_ms: int) -> Saga:
    request = event.request
    if saga is not None:
        raise InvariantBroken(f"payment {request.payment_id} is started twice")
    is_deposit = request.kind is PaymentKind.DEPOSIT
    return Saga(
        request.payment_id,
        request.kind,
        SagaStatus.CREDITING if is_deposit else SagaStatus.DEDUCTING,
        event.version + 1,
        request.amount_minor,
        request.currency,
        request.source_wallet_id,
        request.target_wallet_id,
        at_ms,
        at_ms,
    )


def _fits(saga: Saga, reply: WalletReply) -> bool:
    awaited = saga.target_wallet_id if saga.status is SagaStatus.CREDITING else saga.source_wallet_id
    return reply.version == saga.version and reply.wallet_id == awaited and _is_its_money(saga, reply)


def _is_repetition(saga: Saga, reply: WalletReply) -> bool:
    taken = saga.replies[max(reply.version - 2, 0) : max(reply.version - 1, 0)]
    return taken == (type(reply).__name__,) and _is_its_money(saga, reply)


def _is_its_money(saga: Saga, reply: WalletReply) -> bool:
    return reply.amount_minor == saga.amount_minor and reply.currency == saga.currency


def _entered(saga: Saga) -> SagaDecision:
    """Say what arriving at its status makes `saga` send."""
    match saga.status:
        case SagaStatus.DEDUCTING | SagaStatus.CREDITING | SagaStatus.COMPENSATING:
            return SagaDecision(saga, _command(saga))
        case SagaStatus.COMPLETED:
            completed = SagaCompleted(saga.payment_id, saga.version, saga.amount_minor, saga.currency)
            return SagaDecision(saga, None, (completed,), _payment_completed(saga))
        case SagaStatus.FAILED:
            return SagaDecision(saga, None, (_failed(saga),), _payment_failed(saga))
        case SagaStatus.COMPENSATED:
            compensated = SagaCompensated(
                saga.payment_id, saga.version - 1, saga.amount_minor, saga.currency, saga.reason or ""
            )
            return SagaDecision(saga, None, (compensated, _failed(saga)), _payment_failed(saga))


def _command(saga: Saga) -> LegCommand:
    is_transfer = saga.kind is PaymentKind.TRANSFER
    counterparty = Counterparty.TRANSIT if is_transfer else Counterparty.EXTERNAL
    is_credit = saga.status is SagaStatus.CREDITING
    wallet_id = saga.target_wallet_id if is_credit else saga.source_wallet_id
    if wallet_id is None:
        raise InvariantBroken(f"payment {saga.payment_id}, {saga.kind}, has no wallet for {saga.status}")
    leg = (wallet_id, saga.payment_id, saga.amount_minor, saga.currency, counterparty, saga.version)
    if saga.status is SagaStatus.DEDUCTING:
        return DeductFunds(*leg)
    return AddFunds(*leg, compensates=not is_credit)


def _failed(saga: Saga) -> SagaFailed:
    return SagaFailed(saga.payment_id, saga.version, saga.reason or "", saga.amount_minor, saga.currency)


def _payment_failed(saga: Saga) -> PaymentFailed:
    return PaymentFailed(saga.payment_id, saga.reason or "", saga.wallets)


def _payment_completed(saga: Saga) -> PaymentCompleted:
    return PaymentCompleted(
        saga.payment_id,
        saga.kind,
        saga.amount_minor,
        saga.currency,
        saga.source_wallet_id,
        saga.target_wallet_id,
        saga.wallets,
    )
