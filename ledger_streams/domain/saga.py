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

_TRANSFER, _DEPOSIT, _WITHDRAWAL = PaymentKind.TRANSFER, PaymentKind.DEPOSIT, PaymentKind.WITHDRAWAL
NEXT: Final[Mapping[tuple[str, str, type[WalletReply]], SagaStatus]] = {
    (_TRANSFER.value, SagaStatus.DEDUCTING.value, WalletDeducted): SagaStatus.CREDITING,
    (_TRANSFER.value, SagaStatus.DEDUCTING.value, WalletDeductionRefused): SagaStatus.FAILED,
    (_TRANSFER.value, SagaStatus.CREDITING.value, WalletCredited): SagaStatus.COMPLETED,
    (_TRANSFER.value, SagaStatus.CREDITING.value, WalletCreditRefused): SagaStatus.COMPENSATING,
    (_TRANSFER.value, SagaStatus.COMPENSATING.value, WalletCredited): SagaStatus.COMPENSATED,
    (_DEPOSIT.value, SagaStatus.CREDITING.value, WalletCredited): SagaStatus.COMPLETED,
    (_DEPOSIT.value, SagaStatus.CREDITING.value, WalletCreditRefused): SagaStatus.FAILED,
    (_WITHDRAWAL.value, SagaStatus.DEDUCTING.value, WalletDeducted): SagaStatus.COMPLETED,
    (_WITHDRAWAL.value, SagaStatus.DEDUCTING.value, WalletDeductionRefused): SagaStatus.FAILED,
}
