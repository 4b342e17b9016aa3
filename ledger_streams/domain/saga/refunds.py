"""Refunds: the decisions of a completed payment's saga on refunds of it.

Only this saga reserves amounts, one command after the other, so the sum of refunds never exceeds
the payment, for any number of concurrent refunds and workers.
"""

from __future__ import annotations

import msgspec

from ledger_streams.domain.answers import RefundGranted, RefundRefused
from ledger_streams.domain.events import PaymentRefunded
from ledger_streams.domain.money import format_amount
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import EndRefund, ReserveRefund
from ledger_streams.domain.saga.decisions import SagaDecision
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.saga.transitions import SagaStatus
from ledger_streams.errors import InvariantBroken

OUTCOME_VERSION = 2
"""Version of PaymentCompleted; the refunds' events follow it."""


def decide_reservation(saga: Saga | None, command: ReserveRefund) -> SagaDecision:
    """Reserve the amount and grant the refund, or refuse it; `saga` is the refunded payment's."""
    refusal = _refusal(saga, command)
    if refusal is not None:
        reason, detail = refusal
        refused = RefundRefused(command.refund_id, command.saga_version, command.payment_id, reason, detail)
        return SagaDecision(events=(refused,))
    assert saga is not None, "an unknown payment is refused"
    amount_minor = command.amount_minor or _left_minor(saga)
    granted = RefundGranted(
        command.refund_id,
        command.saga_version,
        command.payment_id,
        amount_minor,
        saga.currency,
        saga.kind,
        saga.source_wallet_id,
        saga.target_wallet_id,
        saga.provider,
    )
    reserved = {**saga.reserved, command.refund_id: amount_minor}
    return SagaDecision(msgspec.structs.replace(saga, reserved=reserved), events=(granted,))


def decide_end(saga: Saga | None, command: EndRefund) -> SagaDecision:
    """Count a completed refund, or cancel the reservation of a failed one."""
    if saga is None or command.refund_id not in saga.reserved:
        raise InvariantBroken(f"refund {command.refund_id} of {command.payment_id} was never granted")
    reserved = dict(saga.reserved)
    amount_minor = reserved.pop(command.refund_id)
    if not command.is_completed:
        return SagaDecision(msgspec.structs.replace(saga, reserved=reserved))
    refunded_minor, refunds = saga.refunded_minor + amount_minor, saga.refunds + 1
    after = msgspec.structs.replace(saga, reserved=reserved, refunded_minor=refunded_minor, refunds=refunds)
    refunded = PaymentRefunded(
        saga.payment_id,
        OUTCOME_VERSION + refunds,
        command.refund_id,
        amount_minor,
        refunded_minor,
        saga.amount_minor,
        saga.currency,
    )
    return SagaDecision(after, outcome=refunded)


def _left_minor(saga: Saga) -> int:
    return saga.amount_minor - saga.refunded_minor - sum(saga.reserved.values())


def _refusal(saga: Saga | None, command: ReserveRefund) -> tuple[Reason, str] | None:
    if saga is None:
        return Reason.INVALID, "data.refund_of: there is no such payment"
    if saga.kind is PaymentKind.REFUND:
        return Reason.INVALID, "data.refund_of: is a refund itself"
    if saga.status is not SagaStatus.COMPLETED:
        return Reason.INVALID, "data.refund_of: has not completed"
    if command.currency and command.currency != saga.currency:
        return Reason.CURRENCY_MISMATCH, f"data.currency: the payment was in {saga.currency}"
    left_minor = _left_minor(saga)
    if left_minor == 0 or command.amount_minor > left_minor:
        left = format_amount(left_minor, saga.currency)
        return Reason.LIMIT_EXCEEDED, f"data.amount: {left} {saga.currency} of the payment are left"
    return None
