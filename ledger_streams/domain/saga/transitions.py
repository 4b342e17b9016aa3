"""Transitions of a saga: the state machine of each course.

NEXT maps course, status and reply to the next status.  The messages of a saga depend only on the
status that it enters.  A saga never compensates money that a provider may have moved: only a
final answer ends ASKING and CANCELLING.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ledger_streams.domain.answers import (
    ProviderApproved,
    ProviderDeclined,
    ProviderTimedOut,
    RefundRefused,
)
from ledger_streams.domain.events import (
    Reply,
    WalletCredited,
    WalletCreditRefused,
    WalletDeducted,
    WalletDeductionRefused,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.request import PaymentKind


class SagaStatus(StrEnum):
    """The status of a saga; each member lists its transitions."""

    RESERVING = "reserving"
    """-> the start of another course (granted), FAILED"""
    HOLDING = "holding"
    """-> ASKING, FAILED"""
    ASKING = "asking"
    """-> CREDITING (deposit), CAPTURING or RELEASING (withdrawal), CANCELLING (time is up), FAILED, ASKING"""
    CANCELLING = "cancelling"
    """-> FAILED (deposit), RELEASING (withdrawal), CANCELLING"""
    CAPTURING = "capturing"
    """-> COMPLETED"""
    RELEASING = "releasing"
    """-> FAILED"""
    DEDUCTING = "deducting"
    """-> CREDITING (transfer), COMPLETED (withdrawal), FAILED"""
    CREDITING = "crediting"
    """-> COMPLETED, COMPENSATING (transfer), CANCELLING (deposit by a provider), FAILED (deposit)"""
    COMPENSATING = "compensating"
    """-> COMPENSATED"""
    COMPLETED = "completed"
    """the end: the money has arrived"""
    FAILED = "failed"
    """the end: no money has moved"""
    COMPENSATED = "compensated"
    """the end: the money is back"""


ENDS: Final = frozenset({SagaStatus.COMPLETED, SagaStatus.FAILED, SagaStatus.COMPENSATED})


class Course(StrEnum):
    """The accounts and provider calls that the money passes, in order."""

    TRANSFER = "transfer"
    """wallet to wallet"""
    DEPOSIT = "deposit"
    """the outside world to a wallet, without a call"""
    WITHDRAWAL = "withdrawal"
    """a wallet to the outside world, without a call"""
    PROVIDER_DEPOSIT = "provider_deposit"
    """a provider collects it, then a wallet gets it"""
    PROVIDER_WITHDRAWAL = "provider_withdrawal"
    """a wallet holds it, a provider pays it out, the hold is captured"""
    REFUND = "refund"
    """not known yet: the refunded payment's saga determines the course back"""


START: Final[Mapping[Course, SagaStatus]] = {
    Course.TRANSFER: SagaStatus.DEDUCTING,
    Course.DEPOSIT: SagaStatus.CREDITING,
    Course.WITHDRAWAL: SagaStatus.DEDUCTING,
    Course.PROVIDER_DEPOSIT: SagaStatus.ASKING,
    Course.PROVIDER_WITHDRAWAL: SagaStatus.HOLDING,
    Course.REFUND: SagaStatus.RESERVING,
}

_Steps = Mapping[tuple[SagaStatus, type[Reply]], SagaStatus]
_S = SagaStatus

_STEPS: Final[Mapping[Course, _Steps]] = {
    Course.TRANSFER: {
        (_S.DEDUCTING, WalletDeducted): _S.CREDITING,
        (_S.DEDUCTING, WalletDeductionRefused): _S.FAILED,
        (_S.CREDITING, WalletCredited): _S.COMPLETED,
        (_S.CREDITING, WalletCreditRefused): _S.COMPENSATING,
        (_S.COMPENSATING, WalletCredited): _S.COMPENSATED,
    },
    Course.DEPOSIT: {
        (_S.CREDITING, WalletCredited): _S.COMPLETED,
        (_S.CREDITING, WalletCreditRefused): _S.FAILED,
    },
    Course.WITHDRAWAL: {
        (_S.DEDUCTING, WalletDeducted): _S.COMPLETED,
        (_S.DEDUCTING, WalletDeductionRefused): _S.FAILED,
    },
    Course.PROVIDER_DEPOSIT: {
        (_S.ASKING, ProviderApproved): _S.CREDITING,
        (_S.ASKING, ProviderDeclined): _S.FAILED,
        (_S.ASKING, ProviderTimedOut): _S.ASKING,
        (_S.CREDITING, WalletCredited): _S.COMPLETED,
        (_S.CREDITING, WalletCreditRefused): _S.CANCELLING,
        (_S.CANCELLING, ProviderDeclined): _S.FAILED,
        (_S.CANCELLING, ProviderTimedOut): _S.CANCELLING,
    },
    Course.PROVIDER_WITHDRAWAL: {
        (_S.HOLDING, WalletHeld): _S.ASKING,
        (_S.HOLDING, WalletDeductionRefused): _S.FAILED,
        (_S.ASKING, ProviderApproved): _S.CAPTURING,
        (_S.ASKING, ProviderDeclined): _S.RELEASING,
        (_S.ASKING, ProviderTimedOut): _S.ASKING,
        (_S.CANCELLING, ProviderDeclined): _S.RELEASING,
        (_S.CANCELLING, ProviderTimedOut): _S.CANCELLING,
        (_S.CAPTURING, WalletDeducted): _S.COMPLETED,
        (_S.RELEASING, WalletReleased): _S.FAILED,
    },
    Course.REFUND: {
        (_S.RESERVING, RefundRefused): _S.FAILED,
    },
}

NEXT: Final[Mapping[tuple[Course, SagaStatus, type[Reply]], SagaStatus]] = {
    (course, status, reply): following
    for course, steps in _STEPS.items()
    for (status, reply), following in steps.items()
}


WITHOUT_PROVIDER: Final[Mapping[PaymentKind, Course]] = {kind: Course(kind) for kind in PaymentKind}


def course_of(kind: PaymentKind, provider: str | None) -> Course:
    """Return the course of a payment of this kind."""
    return WITHOUT_PROVIDER[kind] if provider is None else Course(f"provider_{kind}")


def course_back(kind: PaymentKind, provider: str | None) -> Course:
    """Return the course of a refund of a completed payment of this kind."""
    back = {PaymentKind.DEPOSIT: PaymentKind.WITHDRAWAL, PaymentKind.WITHDRAWAL: PaymentKind.DEPOSIT}
    return course_of(back.get(kind, kind), provider)
