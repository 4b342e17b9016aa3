"""Decisions of a saga: the commands, events and outcome that it sends.

`decide` handles events on saga-events, `decide_due` deadlines, `decide_settlement` an operator's
statement of a provider's outcome.  Each returns the saga's next state and all that it sends.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, ProviderReply, ProviderTimedOut
from ledger_streams.domain.commands import (
    AddFunds,
    CaptureHold,
    Counterparty,
    DeductFunds,
    HoldFunds,
    LegCommand,
    ReleaseHold,
)
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentOutcome,
    Reply,
    SagaCompensated,
    SagaCompleted,
    SagaEvent,
    SagaFailed,
    SagaStarted,
)
from ledger_streams.domain.ids import HoldId
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import (
    CancelPayment,
    CarryOutPayment,
    EndRefund,
    ProviderOrder,
    ReserveRefund,
    SagaCommand,
    SettlePayment,
)
from ledger_streams.domain.saga.replies import answers_late, is_repetition
from ledger_streams.domain.saga.state import PATIENCE_MS, Saga, evolve, past_due, started
from ledger_streams.domain.saga.transitions import Course, SagaStatus
from ledger_streams.errors import InvariantBroken, Unreadable

Command = LegCommand | ProviderOrder | SagaCommand


class SagaDecision(msgspec.Struct, frozen=True, gc=False):
    """The saga's next state (None: unchanged) and its messages, in this order."""

    saga: Saga | None = None
    commands: tuple[Command, ...] = ()
    events: tuple[SagaEvent, ...] = ()
    outcome: PaymentOutcome | None = None


NOTHING: Final = SagaDecision()
"""The decision on a repetition, or on one of the saga's own events."""
_ASKED: Final = {SagaStatus.ASKING, SagaStatus.CANCELLING}


def decide(
    saga: Saga | None, event: SagaEvent, *, at_ms: int, patience_ms: int = PATIENCE_MS
) -> SagaDecision:
    """Return the decision of a payment's saga (None: unknown) on `event`; pure.

    A repetition and a saga's own events yield NOTHING.  A provider's answer that contradicts an
    earlier one raises Unreadable: an operator has to resolve it.  A wallet's reply that fits no
    step raises InvariantBroken: money has moved without a saga.
    """
    if isinstance(event, Reply):
        if saga is None:
            raise InvariantBroken(f"{type(event).__name__} of payment {event.payment_id}, which has no saga")
        if is_repetition(saga, event):
            return NOTHING
        if isinstance(event, ProviderReply) and event.version < saga.version:
            if not answers_late(saga, event):
                raise Unreadable(
                    reason=Reason.DUPLICATE_MISMATCH,
                    detail="event_type: another answer of the provider has been taken at this version",
                )
            event = msgspec.structs.replace(event, version=saga.version)
        after = evolve(saga, event, at_ms=at_ms, patience_ms=patience_ms)
        if isinstance(event, ProviderTimedOut):
            return SagaDecision(after)  # the next attempt is at its deadline, not at once
        return entered(after)
    if saga is None and isinstance(event, SagaStarted):
        return entered(started(event, at_ms=at_ms, patience_ms=patience_ms))
    if saga is None and isinstance(event, SagaFailed) and event.version == 1:
        return SagaDecision(outcome=PaymentFailed(event.payment_id, event.reason, {}, event.detail))
    return NOTHING


def decide_due(saga: Saga | None, due_ms: int) -> SagaDecision:
    """Return the decision at the deadline `due_ms`; NOTHING when it is not the saga's current one."""
    if saga is None or saga.due_ms != due_ms:
        return NOTHING
    return entered(past_due(saga, due_ms))


def decide_settlement(saga: Saga | None, command: SettlePayment) -> SagaDecision:
    """Return the answer in the provider's place; raises Unreadable when the saga awaits no such answer.

    A repeated command yields NOTHING.
    """
    statuses = {SagaStatus.ASKING} if command.is_approved else _ASKED
    if saga is not None and saga.status not in _ASKED and _answer_of(command).__name__ in saga.replies:
        return NOTHING
    if saga is None or saga.status not in statuses or saga.provider is None:
        raise Unreadable(reason=Reason.INVALID, detail="data.payment_id: awaits no such answer of a provider")
    about = (saga.payment_id, saga.version, saga.provider, saga.amount_minor, saga.currency)
    detail = f"settled by hand: {command.reason}"
    if command.is_approved:
        return SagaDecision(events=(ProviderApproved(*about, detail),))
    return SagaDecision(events=(ProviderDeclined(*about, Reason.PROVIDER_DECLINED, detail),))


def _answer_of(command: SettlePayment) -> type[ProviderReply]:
    return ProviderApproved if command.is_approved else ProviderDeclined


def entered(saga: Saga) -> SagaDecision:
    """Return the messages that the saga sends on entry into its status."""
    match saga.status:
        case SagaStatus.COMPLETED:
            completed = SagaCompleted(saga.payment_id, saga.version, saga.amount_minor, saga.currency)
            return SagaDecision(saga, _refund_end(saga), (completed,), _payment_completed(saga))
        case SagaStatus.FAILED:
            return SagaDecision(saga, _refund_end(saga), (_failed(saga),), _payment_failed(saga))
        case SagaStatus.COMPENSATED:
            compensated = SagaCompensated(
                saga.payment_id, saga.version - 1, saga.amount_minor, saga.currency, saga.reason or ""
            )
            ends = (compensated, _failed(saga))
            return SagaDecision(saga, _refund_end(saga), ends, _payment_failed(saga))
        case SagaStatus.RESERVING:
            assert saga.refund_of is not None, "a refund is one of a payment"
            reserve = ReserveRefund(
                saga.refund_of, saga.payment_id, saga.amount_minor, saga.currency, saga.version
            )
            return SagaDecision(saga, (reserve,))
        case SagaStatus.ASKING | SagaStatus.CANCELLING:
            return SagaDecision(saga, (_order(saga),))
        case _:
            return SagaDecision(saga, (_leg(saga),))


def _leg(saga: Saga) -> LegCommand:
    is_credit = saga.status is SagaStatus.CREDITING
    wallet_id = saga.target_wallet_id if is_credit else saga.source_wallet_id
    if wallet_id is None:
        raise InvariantBroken(f"payment {saga.payment_id}, {saga.course}, has no wallet for {saga.status}")
    payment_id, amount_minor, currency = saga.payment_id, saga.amount_minor, saga.currency
    counterparty = Counterparty.TRANSIT if saga.course is Course.TRANSFER else Counterparty.EXTERNAL
    to, hold_id = (counterparty, saga.version), saga.hold_id or HoldId(payment_id)
    match saga.status:
        case SagaStatus.DEDUCTING if saga.hold_id is None:
            return DeductFunds(wallet_id, payment_id, amount_minor, currency, *to)
        case SagaStatus.DEDUCTING | SagaStatus.CAPTURING:
            return CaptureHold(wallet_id, payment_id, hold_id, amount_minor, currency, *to)
        case SagaStatus.HOLDING:
            return HoldFunds(wallet_id, hold_id, amount_minor, currency, payment_id, saga.version)
        case SagaStatus.RELEASING:
            return ReleaseHold(wallet_id, hold_id, saga.reason or "", payment_id, saga.version)
        case _:
            return AddFunds(wallet_id, payment_id, amount_minor, currency, *to, compensates=not is_credit)


def _order(saga: Saga) -> ProviderOrder:
    if saga.provider is None:
        raise InvariantBroken(f"payment {saga.payment_id}, {saga.status}, has no provider")
    payment_id, provider, attempt = saga.payment_id, saga.provider, saga.attempts
    amount_minor, currency, version = saga.amount_minor, saga.currency, saga.version
    if saga.status is SagaStatus.CANCELLING:
        reason = saga.reason or ""
        return CancelPayment(payment_id, provider, amount_minor, currency, version, attempt, reason)
    is_deposit = saga.course is Course.PROVIDER_DEPOSIT
    kind = PaymentKind.DEPOSIT if is_deposit else PaymentKind.WITHDRAWAL
    return CarryOutPayment(payment_id, provider, kind, amount_minor, currency, version, attempt)


def _refund_end(saga: Saga) -> tuple[Command, ...]:
    """Return the report to the refunded payment's saga; none for a refund that was never granted."""
    if saga.refund_of is None or saga.course is Course.REFUND:
        return ()
    return (EndRefund(saga.refund_of, saga.payment_id, saga.status is SagaStatus.COMPLETED),)


def _failed(saga: Saga) -> SagaFailed:
    amount_minor = saga.amount_minor or None
    currency = saga.currency if amount_minor else None
    return SagaFailed(saga.payment_id, saga.version, saga.reason or "", amount_minor, currency)


def _payment_failed(saga: Saga) -> PaymentFailed:
    return PaymentFailed(saga.payment_id, saga.reason or "", saga.wallets, saga.detail)


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
