"""Resume of one payment from its projected facts: the saga's state and the records to write.

The saga replays its known replies in order, by the same functions as an agent.  Wallet events and
outcomes imply further replies.  Where the facts end, the saga waits and sends its command again: to
a wallet, since no fact shows the command; to a provider, under the same idempotency key.  Every
known step is applied exactly once.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_streams import topics, wire
from ledger_streams.domain.answers import ProviderApproved, ProviderDeclined, ProviderReply
from ledger_streams.domain.commands import LegCommand
from ledger_streams.domain.events import (
    PaymentCompleted,
    PaymentFailed,
    PaymentOutcome,
    Reply,
    SagaEvent,
    SagaFailed,
    SagaStarted,
    WalletCredited,
    WalletDeducted,
    WalletHeld,
    WalletReleased,
)
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga import decisions
from ledger_streams.domain.saga.replies import answers_late
from ledger_streams.domain.saga.state import SUPERSEDED, Saga, evolve, past_due, started
from ledger_streams.domain.saga.transitions import ENDS, SagaStatus
from ledger_streams.errors import InvariantBroken
from ledger_streams.recovery.saga_resume_commands import awaited_leg, route
from ledger_streams.recovery.saga_resume_facts import (
    LostLeg,
    OutgoingRecord,
    PaymentFacts,
    is_half,
    kind_of,
    version_of,
)
from ledger_streams.recovery.saga_resume_replies import (
    is_done,
    is_refused,
    provider_reply,
    refusal_reply,
    reservation_reply,
    success_reply,
)

LEG_SUCCESSES: Final = (WalletDeducted, WalletCredited, WalletHeld, WalletReleased)


class ResumedPayment(msgspec.Struct):
    """A resumed payment and the records to write for it."""

    fingerprint: str
    saga: Saga | None = None
    """None when the saga never started."""
    sent: list[OutgoingRecord] = msgspec.field(default_factory=list)
    """Events that the projections lack, and the command that the saga waits for."""
    lost: list[LostLeg] = msgspec.field(default_factory=list)


class PaymentResume:
    """Resumes one payment; `paid` is the saga of the payment it refunds."""

    def __init__(self, known: PaymentFacts, *, paid: Saga | None, now_ms: int, patience_ms: int) -> None:
        self._known = known
        self._paid = paid
        self._now_ms = now_ms
        self._patience_ms = patience_ms
        self._ids = {read.event_id for read in known.saga_events}
        self._legs = known.legs()
        self._at_ms = now_ms
        self._cause: str | None = None
        self._sent: list[OutgoingRecord] = []
        self._lost: list[LostLeg] = []

    def of(
        self, event: SagaStarted | SagaFailed, fingerprint: str, at_ms: int, cause: str | None
    ) -> ResumedPayment:
        """Resume the payment that began with `event`, at the time and by the cause given."""
        self._at_ms, self._cause = at_ms, cause
        self._emit(event)
        if isinstance(event, SagaFailed):
            self._emit_outcome(PaymentFailed(event.payment_id, event.reason, {}, event.detail))
            return ResumedPayment(fingerprint, None, self._sent, self._lost)
        saga = self._advance(started(event, at_ms=at_ms, patience_ms=self._patience_ms))
        saga = self._finish(saga) if saga.status in ENDS else self._ask(saga)
        return ResumedPayment(fingerprint, saga, self._sent, self._lost)

    def _advance(self, saga: Saga) -> Saga:
        """Return the saga advanced through all known facts."""
        while saga.status not in ENDS:
            after = self._step(saga)
            if after is None:
                break
            saga = after
        return saga

    def _step(self, saga: Saga) -> Saga | None:
        heard = self._known_reply(saga)
        if saga.status is SagaStatus.ASKING and self._is_superseded(saga, heard):
            return past_due(saga, saga.give_up_ms or 0)
        is_approved = saga.status is SagaStatus.ASKING and isinstance(heard, ProviderApproved)
        if is_approved and not self._is_followed(saga):
            return None  # it may have been cancelled since; asked again, the provider tells
        command = awaited_leg(saga)
        events = self._legs.pop(wire.command_id(command), ()) if command is not None else ()
        if heard is None and events:
            assert command is not None, "a leg's events"
            self._at_ms = wire.time_ms(wire.parse_time(events[-1].envelope.occurred_at))
            self._cause = wire.command_id(command)
            heard = success_reply(saga, command, events[-1].wallet.version + is_half(events))
        if heard is None:
            saga, heard = self._implied(saga, command)
        if heard is None:
            return None
        if command is not None and isinstance(heard, LEG_SUCCESSES) and (not events or is_half(events)):
            self._lost.append(LostLeg(command, heard.wallet_version, self._at_ms, is_half_known=bool(events)))
        self._emit(heard)
        heard = msgspec.structs.replace(heard, version=saga.version)
        return evolve(saga, heard, at_ms=self._at_ms, patience_ms=self._patience_ms)

    def _known_reply(self, saga: Saga) -> Reply | None:
        """Return the first known reply that the saga accepts at its version: its own, or a late outcome."""
        for read in self._known.saga_events:
            if isinstance(read.event, Reply) and _is_answer(saga, read.event):
                self._at_ms = wire.time_ms(wire.parse_time(read.occurred_at))
                self._cause = read.event_id
                return read.event
        return None

    def _is_superseded(self, saga: Saga, heard: Reply | None) -> bool:
        """Tell whether the saga gave up waiting before any reply of this version arrived."""
        later = [
            r.event
            for r in self._known.saga_events
            if isinstance(r.event, Reply) and r.event.version > saga.version
        ]
        if heard is None:
            return bool(later)
        if not isinstance(heard, (ProviderApproved, ProviderDeclined)):
            return False
        if any(isinstance(event, ProviderReply) and event.version == saga.version + 1 for event in later):
            return True
        is_failed = isinstance(self._known_end(saga), PaymentFailed)
        released = "released" in self._later_kinds()
        return isinstance(heard, ProviderApproved) and not later and (is_failed or released)

    def _is_followed(self, saga: Saga) -> bool:
        """Tell whether a known fact can only have followed the provider's approval."""
        after = self._is_version_known(saga.version + 1)
        return (
            after
            or isinstance(self._known_end(saga), PaymentCompleted)
            or bool(self._leg_versions(saga.version))
        )

    def _is_version_known(self, version: int) -> bool:
        return any(isinstance(r.event, Reply) and r.event.version == version for r in self._known.saga_events)

    def _leg_versions(self, after: int) -> list[int]:
        """Return the versions of known legs that are not applied yet."""
        versions = (version_of(self._known.payment_id, command_id) for command_id in self._legs)
        return sorted(version for version in versions if version > after)

    def _later_kinds(self) -> set[str]:
        return {kind_of(leg) for leg in self._legs.values()}

    def _implied(self, saga: Saga, command: LegCommand | None) -> tuple[Saga, Reply | None]:
        """Return the implied reply, and the saga at the version of that reply."""
        end, later = self._known_end(saga), self._later_kinds()
        if command is not None and is_done(saga, later, end):
            version = 0 if end is None else end.wallets.get(command.wallet_id, 0)
            is_last = saga.status is not SagaStatus.HOLDING and not later
            return saga, success_reply(saga, command, version if is_last else 0)
        if command is not None:
            reason = end.reason if isinstance(end, PaymentFailed) else saga.reason or Reason.INVALID
            return saga, refusal_reply(saga, command, reason) if is_refused(saga, later, end) else None
        if saga.status is SagaStatus.RESERVING:
            events = [read for leg in self._legs.values() for read in leg]
            return saga, reservation_reply(saga, self._paid, events, end)
        said = provider_reply(saga, later, end)
        if said is None:
            return saga, None
        versions = self._leg_versions(saga.version)
        saga = _at_version(saga, versions[0] - 1) if versions else saga
        return saga, provider_reply(saga, later, end)

    def _known_end(self, saga: Saga) -> PaymentCompleted | PaymentFailed | None:
        told, wallets = self._known.told, (saga.source_wallet_id, saga.target_wallet_id)
        if self._known.end is not None or (told is None and not self._known.is_refunded):
            return self._known.end
        money = saga if told is None else told
        return PaymentCompleted(saga.payment_id, saga.kind, money.amount_minor, money.currency, *wallets, {})

    def _finish(self, saga: Saga) -> Saga:
        saga = msgspec.structs.replace(
            saga, wallets={w: version for w, version in saga.wallets.items() if version}
        )
        decision = decisions.entered(saga)
        for event in decision.events:
            self._emit(event)
        end = self._known.end
        if end is not None and type(end) is not type(decision.outcome):
            raise InvariantBroken(f"payment {saga.payment_id} has ended as {end}, its saga as {saga.status}")
        assert decision.outcome is not None, "what every end has"
        self._emit_outcome(decision.outcome)
        return saga

    def _ask(self, saga: Saga) -> Saga:
        """Send the saga's awaited command again; the earlier one is lost."""
        if self._known_end(saga) is not None or self._legs:
            raise InvariantBroken(
                f"payment {saga.payment_id} is {saga.status}, "
                f"and has {sorted(self._later_kinds())} and an end"
            )
        if saga.status is SagaStatus.ASKING:
            saga = self._ask_provider_again(saga)
        for command in decisions.entered(saga).commands:
            self._sent.append(route(command, self._cause, self._at_ms))
        return saga

    def _ask_provider_again(self, saga: Saga) -> Saga:
        """Return the saga asking its provider again, with full patience and a version without a reply."""
        if self._is_version_known(saga.version):
            saga = _at_version(saga, saga.version + 1)
        due_ms = self._now_ms + self._patience_ms
        return msgspec.structs.replace(saga, attempts=saga.attempts + 1, due_ms=due_ms, give_up_ms=due_ms)

    def _emit(self, event: SagaEvent) -> None:
        """Add a record of saga-events unless it is known."""
        if wire.saga_event_id(event) not in self._ids:
            value = wire.encode_saga_event(event, causation_id=self._cause, append_ms=self._at_ms)
            self._sent.append(OutgoingRecord(topics.SAGA_EVENTS, event.payment_id, value))
        self._cause = wire.saga_event_id(event)

    def _emit_outcome(self, outcome: PaymentOutcome) -> None:
        if self._known.end is None:
            assert self._cause is not None, "an event of its saga"
            value = wire.encode_payment_outcome(outcome, causation_id=self._cause, append_ms=self._at_ms)
            self._sent.append(OutgoingRecord(topics.PAYMENT_EVENTS, outcome.payment_id, value))


def _is_answer(saga: Saga, reply: Reply) -> bool:
    is_late = isinstance(reply, ProviderReply) and answers_late(saga, reply)
    return reply.version == saga.version or is_late


def _at_version(saga: Saga, version: int) -> Saga:
    """Return the saga waiting for a later version's reply; the versions between are superseded."""
    replies = (*saga.replies, *[SUPERSEDED] * (version - saga.version))
    return msgspec.structs.replace(saga, version=version, replies=replies)
