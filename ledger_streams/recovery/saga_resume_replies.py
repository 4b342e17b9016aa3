"""Replies to a saga that are implied by later facts.

A leg with a known event was replied to.  A saga with known later steps received the reply that led
to them.  Without later facts no reply is implied, and the saga waits.
"""

from __future__ import annotations

from collections.abc import Collection

from ledger_streams import wire
from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, RefundGranted, RefundRefused
from ledger_streams.domain.commands import AddFunds, CaptureHold, DeductFunds, HoldFunds, LegCommand
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    Reply,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.saga.transitions import SagaStatus
from ledger_streams.errors import InvariantBroken

End = PaymentCompleted | PaymentFailed | None
Later = Collection[str]
"""Effects of the payment's later legs: added, deducted, held, released."""


def success_reply(saga: Saga, command: LegCommand, wallet_version: int) -> Reply:
    """Return the reply to a leg that a wallet carried out."""
    about = (saga.payment_id, saga.version, command.wallet_id, saga.amount_minor, saga.currency)
    match command:
        case AddFunds():
            return WalletCredited(*about, wallet_version, command.compensates)
        case HoldFunds():
            return WalletHeld(*about, wallet_version, command.hold_id)
        case DeductFunds() | CaptureHold():
            return WalletDeducted(*about, wallet_version)
        case _:
            return WalletReleased(*about, wallet_version, command.hold_id)


def refusal_reply(saga: Saga, command: LegCommand, reason: str) -> Reply:
    """Return the reply to a leg that a wallet refused."""
    about = (saga.payment_id, saga.version, command.wallet_id, saga.amount_minor, saga.currency, 0)
    if isinstance(command, AddFunds):
        return WalletCreditRefused(*about, reason)
    return WalletDeductionRefused(*about, reason)


def is_done(saga: Saga, later: Later, end: End) -> bool:
    """Tell whether later facts imply that the awaited leg was carried out."""
    is_completed = isinstance(end, PaymentCompleted)
    match saga.status:
        case SagaStatus.DEDUCTING | SagaStatus.HOLDING:
            return bool(later) or is_completed or (isinstance(end, PaymentFailed) and bool(end.wallets))
        case SagaStatus.COMPENSATING | SagaStatus.RELEASING:
            return isinstance(end, PaymentFailed)
        case _:
            return is_completed


def is_refused(saga: Saga, later: Later, end: End) -> bool:
    """Tell whether later facts imply that the awaited leg was refused; `is_done` is false."""
    if saga.status is SagaStatus.CREDITING:
        return bool(later) or isinstance(end, PaymentFailed)
    return isinstance(end, PaymentFailed)


def provider_reply(saga: Saga, later: Later, end: End) -> Reply | None:
    """Return the implied reply of the provider, or None."""
    about = (saga.payment_id, saga.version, saga.provider or "", saga.amount_minor, saga.currency)
    if saga.status is SagaStatus.ASKING and (
        isinstance(end, PaymentCompleted) or {"added", "deducted"} & {*later}
    ):
        return ProviderApproved(*about)
    if isinstance(end, PaymentFailed) or "released" in later:
        reason = end.reason if isinstance(end, PaymentFailed) else saga.reason
        return ProviderDeclined(*about, reason or Reason.PROVIDER_DECLINED)
    return None


def reservation_reply(
    saga: Saga, paid: Saga | None, legs: Collection[wire.WalletRecord], end: End
) -> Reply | None:
    """Return the implied reply of the refunded payment's saga to a refund, or None."""
    if saga.refund_of is None:
        raise InvariantBroken(f"payment {saga.payment_id} waits for a reservation but is not a refund")
    if isinstance(end, PaymentFailed) and not end.wallets and not legs:
        detail = end.detail or "the answer is lost"
        return RefundRefused(saga.payment_id, saga.version, saga.refund_of, end.reason, detail)
    amounts = [getattr(read.event, "amount_minor", 0) for read in legs]
    amount_minor = (
        end.amount_minor if isinstance(end, PaymentCompleted) else max(amounts, default=saga.amount_minor)
    )
    if not legs and end is None:
        return None
    if paid is None:
        raise InvariantBroken(f"refund {saga.payment_id} has moved money of an unknown payment")
    wallets = (paid.source_wallet_id, paid.target_wallet_id)
    about = (saga.payment_id, saga.version, saga.refund_of, amount_minor or paid.amount_minor, paid.currency)
    return RefundGranted(*about, paid.kind, *wallets, paid.provider)
