"""Saga: the course of one payment, one step at a time, to an end.

`evolve` is the table `courses.NEXT`: course, status and reply say the next status.  What a
saga sends depends only on the status it enters, so `decide` is that transition and what
its arrival sets off (saga_steps).  Versions count the saga's events: a command bears the
version that its reply will have, so a reply fits exactly one step.  A saga that has taken
money ends only when the money has arrived or is back.
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
"""Stands among the replies for one that is not awaited any more."""
ASK_AGAIN_MS: Final = 250
"""At most, after the first answer that told nothing; doubled each time."""
ASK_AGAIN_MS_MAX: Final = 30_000
CANCEL_AGAIN_MS_MAX: Final = 600_000
"""Nobody waits for an outcome any more, and each try is an event that is kept: 6 to 12 an hour."""
PATIENCE_MS: Final = 60_000
"""How long a provider is asked for an outcome, if nobody says otherwise; then it is told to cancel."""


class Saga(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
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
    """When it was started and last moved: the append time of the record that did it, or its deadline."""
    replies: tuple[str, ...] = ()
    """Names of the replies taken, that of version 2 first."""
    wallets: Mapping[str, int] = {}
    """The version of each wallet it has changed, after the change."""
    reason: str | None = None
    """Why it fails or compensates: the reason of the first refusal."""
    way: Course | None = None
    """None: that of its kind, without a provider."""
    provider: str | None = None
    hold_id: HoldId | None = None
    """The caller's hold that the money is taken out of."""
    refund_of: PaymentId | None = None
    attempts: int = 0
    """How often the provider has been asked, or told to cancel, in this status."""
    due_ms: int | None = None
    """When something has to be done though no reply has come."""
    give_up_ms: int | None = None
    """When the provider is told to cancel."""
    reserved: Mapping[PaymentId, int] = {}
    """Refunds of this payment that are under way, and their amounts in minor units."""
    refunded_minor: int = 0
    refunds: int = 0
    """How many refunds have completed."""
    detail: str | None = None
    """What the first refusal said beside its reason."""

    @property
    def course(self) -> Course:
        """The way its money takes."""
        return self.way or WITHOUT_PROVIDER[self.kind]


def started(event: SagaStarted, *, at_ms: int, patience_ms: int) -> Saga:
    """Return the saga that `event` begins."""
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
    """Return the saga after the reply that it awaits; any other raises InvariantBroken."""
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
    """Return the saga whose deadline has come: it asks again or, when time is up, has it cancelled."""
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
    """Tell whether nothing is awaited any more."""
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
    """Return the saga as it is asked or told to cancel for the first time."""
    give_up_ms = at_ms + patience_ms if saga.status is SagaStatus.ASKING else None
    return msgspec.structs.replace(saga, attempts=1, due_ms=give_up_ms, give_up_ms=give_up_ms)


def _waiting(saga: Saga, at_ms: int) -> Saga:
    """Return the saga as it waits to ask again; the wait grows, and ends when time is up.

    Payments that a provider has failed together do not come back to it together: each waits
    from half to the whole of it, by a share that its id and the attempt make.
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
    """Tell whether the reply is about the amount, or the refunded payment, that the saga is about."""
    if isinstance(reply, (RefundGranted, RefundRefused)):
        return reply.refund_of == saga.refund_of
    return reply.amount_minor == saga.amount_minor and reply.currency == saga.currency
