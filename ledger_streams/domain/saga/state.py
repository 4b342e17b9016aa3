"""Saga: the state of one payment, one step at a time, to an end.

`evolve` follows the table `transitions.NEXT`: course, status and reply determine the next status.
The messages of a saga depend only on the status that it enters (decisions).  Versions count the
saga's events: a command carries the version that its reply will have, so a reply fits exactly
one step.  A saga that has debited money ends only when the money has arrived or is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zlib import crc32

import msgspec

from ledger_streams.domain.answers import (
    ProviderTimedOut,
    RefundGranted,
    RefundRefused,
)
from ledger_streams.domain.events import (
    Reply,
    SagaStarted,
    WalletCredited,
    WalletDeducted,
    WalletHeld,
    WalletReleased,
    WalletReply,
)
from ledger_streams.domain.ids import HoldId, PaymentId, WalletId
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.transitions import (
    ENDS,
    NEXT,
    START,
    WITHOUT_PROVIDER,
    Course,
    SagaStatus,
    course_back,
    course_of,
)
from ledger_streams.errors import InvariantBroken

SUPERSEDED: Final = ""
"""Marks, among the replies, a version whose reply the saga no longer awaits."""
ASK_AGAIN_MS: Final = 250
"""Longest wait after the first time-out; doubles with each attempt."""
ASK_AGAIN_MS_MAX: Final = 30_000
CANCEL_AGAIN_MS_MAX: Final = 600_000
"""No caller waits any more, and each attempt is a stored event: 6 to 12 an hour."""
PATIENCE_MS: Final = 60_000
"""Default time of attempts at a provider; after it the saga cancels."""


class Saga(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The state of a payment's saga."""

    payment_id: PaymentId
    kind: PaymentKind
    status: SagaStatus
    version: int
    """Version of the awaited reply; of the last event once the saga has ended."""
    amount_minor: int
    currency: str
    source_wallet_id: WalletId | None
    target_wallet_id: WalletId | None
    started_ms: int
    updated_ms: int
    """Time of the last transition: the append time of its record, or the deadline."""
    replies: tuple[str, ...] = ()
    """Names of the replies so far, that of version 2 first."""
    wallets: Mapping[str, int] = {}
    """The version of each changed wallet, after the change."""
    reason: str | None = None
    """Reason of the first refusal, which fails or compensates the payment."""
    way: Course | None = None
    """None: the course of its kind without a provider."""
    provider: str | None = None
    hold_id: HoldId | None = None
    """The caller's hold to capture."""
    refund_of: PaymentId | None = None
    attempts: int = 0
    """Number of calls of the provider in this status."""
    due_ms: int | None = None
    """Deadline for the next action without a reply."""
    give_up_ms: int | None = None
    """When the saga cancels at the provider."""
    reserved: Mapping[PaymentId, int] = {}
    """Amounts reserved for refunds in flight, in minor units, by refund."""
    refunded_minor: int = 0
    refunds: int = 0
    """Number of completed refunds."""
    detail: str | None = None
    """Detail of the first refusal."""

    @property
    def course(self) -> Course:
        """The course of its money."""
        return self.way or WITHOUT_PROVIDER[self.kind]


def started(event: SagaStarted, *, at_ms: int, patience_ms: int) -> Saga:
    """Return the saga that `event` starts."""
    request = event.request
    course = course_of(request.kind, request.provider)
    saga = Saga(
        request.payment_id,
        request.kind,
        START[course],
        event.version + 1,
        request.amount_minor,
        request.currency,
        request.source_wallet_id,
        request.target_wallet_id,
        at_ms,
        at_ms,
        way=None if request.provider is None else course,
        provider=request.provider,
        hold_id=request.hold_id,
        refund_of=request.refund_of,
    )
    return _entered_anew(saga, at_ms, patience_ms) if saga.status is SagaStatus.ASKING else saga


def evolve(saga: Saga, reply: Reply, *, at_ms: int, patience_ms: int = PATIENCE_MS) -> Saga:
    """Return the saga after the awaited reply; any other reply raises InvariantBroken."""
    if isinstance(reply, RefundGranted):
        return _granted(saga, reply, at_ms, patience_ms)
    status = NEXT.get((saga.course, saga.status, type(reply)))
    if status is None or not _fits(saga, reply):
        raise InvariantBroken(
            f"payment {saga.payment_id}, {saga.status} at version {saga.version}, "
            f"does not await {type(reply).__name__} {reply.version}"
        )
    refusal = None if saga.reason else getattr(reply, "reason", None)
    after = msgspec.structs.replace(
        saga,
        status=status,
        version=saga.version + (2 if status is SagaStatus.COMPENSATED else 1),
        updated_ms=at_ms,
        replies=(*saga.replies, type(reply).__name__),
        wallets=_wallets_after(saga, reply),
        reason=saga.reason or refusal,
        detail=getattr(reply, "detail", None) if refusal else saga.detail,
    )
    if isinstance(reply, ProviderTimedOut):
        return _waiting(after, at_ms)
    if status in (SagaStatus.ASKING, SagaStatus.CANCELLING):
        return _entered_anew(after, at_ms, patience_ms)
    return after if saga.due_ms is None else msgspec.structs.replace(after, due_ms=None, give_up_ms=None)


def past_due(saga: Saga, due_ms: int) -> Saga:
    """Return the saga after its deadline: the next attempt or, after `give_up_ms`, the cancellation."""
    if saga.status is SagaStatus.ASKING and saga.give_up_ms is not None and due_ms >= saga.give_up_ms:
        return msgspec.structs.replace(
            saga,
            status=SagaStatus.CANCELLING,
            version=saga.version + 1,
            replies=(*saga.replies, SUPERSEDED),
            updated_ms=due_ms,
            attempts=1,
            due_ms=None,
            give_up_ms=None,
            reason=saga.reason or Reason.PROVIDER_TIMEOUT,
        )
    return msgspec.structs.replace(
        saga, attempts=saga.attempts + 1, updated_ms=due_ms, due_ms=saga.give_up_ms
    )


def has_ended(saga: Saga) -> bool:
    """Tell whether the saga has ended."""
    return saga.status in ENDS


def _granted(saga: Saga, reply: RefundGranted, at_ms: int, patience_ms: int) -> Saga:
    is_awaited = saga.status is SagaStatus.RESERVING and reply.version == saga.version
    if not is_awaited or not is_its_money(saga, reply):
        raise InvariantBroken(f"payment {saga.payment_id}, {saga.status}, does not await RefundGranted")
    course = course_back(reply.kind, reply.provider)
    after = msgspec.structs.replace(
        saga,
        status=START[course],
        version=saga.version + 1,
        amount_minor=reply.amount_minor,
        currency=reply.currency,
        source_wallet_id=reply.target_wallet_id,
        target_wallet_id=reply.source_wallet_id,
        updated_ms=at_ms,
        replies=(*saga.replies, type(reply).__name__),
        way=course,
        provider=reply.provider,
    )
    return _entered_anew(after, at_ms, patience_ms) if after.status is SagaStatus.ASKING else after


def _entered_anew(saga: Saga, at_ms: int, patience_ms: int) -> Saga:
    """Return the saga at its first attempt in this status."""
    give_up_ms = at_ms + patience_ms if saga.status is SagaStatus.ASKING else None
    return msgspec.structs.replace(saga, attempts=1, due_ms=give_up_ms, give_up_ms=give_up_ms)


def _waiting(saga: Saga, at_ms: int) -> Saga:
    """Return the saga with its next attempt after a back-off, at `give_up_ms` at the latest.

    The jitter (half to the whole wait, derived from id and attempt) spreads the attempts of
    payments that a provider failed at the same time.
    """
    wait_ms_max = CANCEL_AGAIN_MS_MAX if saga.status is SagaStatus.CANCELLING else ASK_AGAIN_MS_MAX
    wait_ms = min(ASK_AGAIN_MS * 2 ** min(saga.attempts - 1, 16), wait_ms_max)
    spread = crc32(f"{saga.payment_id}:{saga.attempts}".encode()) / 2**32
    again_ms = at_ms + int(wait_ms * (1 + spread) / 2)
    due_ms = again_ms if saga.give_up_ms is None else min(again_ms, saga.give_up_ms)
    return msgspec.structs.replace(saga, due_ms=due_ms)


def _wallets_after(saga: Saga, reply: Reply) -> Mapping[str, int]:
    if isinstance(reply, (WalletDeducted, WalletCredited, WalletHeld, WalletReleased)):
        return {**saga.wallets, reply.wallet_id: reply.wallet_version}
    return saga.wallets


def _fits(saga: Saga, reply: Reply) -> bool:
    if reply.version != saga.version or not is_its_money(saga, reply):
        return False
    if isinstance(reply, WalletReply):
        is_credit = saga.status is SagaStatus.CREDITING
        return reply.wallet_id == (saga.target_wallet_id if is_credit else saga.source_wallet_id)
    return True


def is_its_money(saga: Saga, reply: Reply) -> bool:
    """Tell whether the reply has the saga's amount and currency, or its refunded payment."""
    if isinstance(reply, (RefundGranted, RefundRefused)):
        return reply.refund_of == saga.refund_of
    return reply.amount_minor == saga.amount_minor and reply.currency == saga.currency
