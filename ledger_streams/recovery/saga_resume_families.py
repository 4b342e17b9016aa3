"""Resume of a payment together with its refunds, with the amounts reserved and refunded.

The payment's saga keeps its refundable rest.  A refund in flight reserves its amount.  A completed
refund is counted, and its PaymentRefunded is written if it is missing.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

import msgspec

from ledger_streams import topics, wire
from ledger_streams.domain import payment
from ledger_streams.domain.events import PaymentRefunded, SagaFailed, SagaStarted
from ledger_streams.domain.ids import PaymentId, derived_id
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.saga import refunds
from ledger_streams.domain.saga.commands import EndRefund
from ledger_streams.domain.saga.state import Saga
from ledger_streams.domain.saga.transitions import ENDS, Course, SagaStatus
from ledger_streams.errors import InvariantBroken
from ledger_streams.recovery.inferred_requests import inferred_request, reversals
from ledger_streams.recovery.saga_resume import PaymentResume, ResumedPayment
from ledger_streams.recovery.saga_resume_facts import OutgoingRecord, PaymentFacts
from ledger_streams.recovery.saga_resume_records import PaymentFactsCollector, refund_of


class ResumeTerms(msgspec.Struct, frozen=True):
    """Terms of the resume, equal for all payments."""

    now_ms: int
    """Time from which the patience of repeated provider requests counts."""
    patience_ms: int
    providers: Container[str] = ()


def resume_family(
    paid: PaymentFacts | None, refunds_of: Sequence[PaymentFacts], terms: ResumeTerms
) -> dict[PaymentId, ResumedPayment]:
    """Resume a payment (None: unknown) and its refunds; return them by id."""
    found: dict[PaymentId, ResumedPayment] = {}
    saga: Saga | None = None
    if paid is not None:
        paid.is_refunded = any(known.is_granted() for known in refunds_of)
        paid.granted = [grant for known in refunds_of if (grant := known.grant()) is not None]
        found[paid.payment_id] = resume_payment(paid, None, terms)
        saga = found[paid.payment_id].saga
    told = {one.refund_id: one for one in paid.refunds_told} if paid is not None else {}
    for known in refunds_of:
        known.told = told.get(known.payment_id)
        found[known.payment_id] = resume_payment(known, saga, terms)
    if paid is not None and saga is not None:
        sagas = {known.payment_id: found[known.payment_id].saga for known in refunds_of}
        _reserve(found[paid.payment_id], saga, sagas, list(told.values()), terms)
    return found


def resume_payment(known: PaymentFacts, paid: Saga | None, terms: ResumeTerms) -> ResumedPayment:
    """Resume one payment without its reservations."""
    resumption = PaymentResume(known, paid=paid, now_ms=terms.now_ms, patience_ms=terms.patience_ms)
    for read in known.saga_events:
        at_ms = wire.time_ms(wire.parse_time(read.occurred_at))
        if isinstance(read.event, SagaStarted):
            fingerprint = known.fingerprint or payment.fingerprint(wire.read_object(read.event.data))
            done = resumption.of(read.event, fingerprint, at_ms, request_id(known))
            return _with_request(known, done, read.event.data, at_ms)
        if isinstance(read.event, SagaFailed) and read.event.version == 1:
            fingerprint = known.fingerprint or payment.FINGERPRINT_INVALID
            return resumption.of(read.event, fingerprint, at_ms, None)
    if known.fingerprint == payment.FINGERPRINT_INVALID:
        failed = SagaFailed(known.payment_id, 1, Reason.INVALID)
        return resumption.of(failed, payment.FINGERPRINT_INVALID, terms.now_ms, None)
    if known.request is None:
        return _resume_unrequested(known, resumption, terms)
    return _resume_requested(known, known.request, resumption, terms)


def _resume_requested(
    known: PaymentFacts, requested: payment.PaymentRequested, resumption: PaymentResume, terms: ResumeTerms
) -> ResumedPayment:
    """Resume a payment with a known request and without a known saga."""
    reason = payment.impossible_reason(requested.request, terms.providers)
    has_ended_otherwise = known.end is not None and getattr(known.end, "reason", None) != reason
    if reason is Reason.PROVIDER_UNAVAILABLE and (known.wallet_events or has_ended_otherwise):
        reason = None  # the provider was configured then
    event = (
        SagaStarted(requested.request, requested.data)
        if reason is None
        else SagaFailed(known.payment_id, 1, reason)
    )
    at_ms = wire.time_ms(wire.parse_time(requested.occurred_at))
    return resumption.of(event, known.fingerprint or requested.fingerprint, at_ms, requested.event_id)


def _resume_unrequested(known: PaymentFacts, resumption: PaymentResume, terms: ResumeTerms) -> ResumedPayment:
    """Resume a payment whose request is lost and whose legs are known."""
    data, legs = inferred_request(known), known.wallet_events
    when_ms = wire.time_ms(wire.parse_time(legs[-1].envelope.occurred_at)) if legs else terms.now_ms
    if data is None:
        detail = "the request is lost; what the wallets knew of it is taken back"
        failed = SagaFailed(known.payment_id, 1, Reason.INVALID, detail=detail)
        done = resumption.of(failed, payment.FINGERPRINT_INVALID, when_ms, None)
        done.lost += reversals(known, when_ms)
        return done
    raw = msgspec.Raw(msgspec.json.encode(data))
    started = SagaStarted(payment.read_request(data), raw)
    return _with_request(
        known, resumption.of(started, payment.fingerprint(data), when_ms, None), raw, when_ms
    )


def _with_request(known: PaymentFacts, done: ResumedPayment, raw: msgspec.Raw, at_ms: int) -> ResumedPayment:
    """Add the request's record when payment-events lost it."""
    if known.fingerprint is None:
        data, event_id = wire.read_object(raw), request_id(known)
        value = wire.encode_payment_request(data, event_id=event_id, occurred_ms=at_ms)
        done.sent.insert(0, OutgoingRecord(topics.PAYMENT_EVENTS, known.payment_id, value))
    return done


def request_id(known: PaymentFacts) -> str:
    """Return the id of the request event, or a derived one when it is unknown."""
    if known.request is not None:
        return known.request.event_id
    return known.request_id or derived_id(f"{known.payment_id}:PaymentRequested:1")


def _reserve(
    done: ResumedPayment,
    saga: Saga,
    sagas: Mapping[PaymentId, Saga | None],
    told: Sequence[PaymentRefunded],
    terms: ResumeTerms,
) -> None:
    """Reserve the amounts of refunds in flight and count the completed ones."""
    granted = {
        refund_id: refund.amount_minor
        for refund_id, refund in sagas.items()
        if refund is not None and refund.course is not Course.REFUND
    }
    completed = [
        r for r, refund in sagas.items() if refund is not None and refund.status is SagaStatus.COMPLETED
    ]
    under_way = {r for r, refund in sagas.items() if refund is not None and refund.status not in ENDS}
    reserved = {r: minor for r, minor in granted.items() if r in under_way or r in completed}
    saga = msgspec.structs.replace(saga, reserved=reserved)
    known = [one.refund_id for one in sorted(told, key=lambda one: one.version)]
    for refund_id in [*known, *(r for r in completed if r not in known)]:
        decision = refunds.decide_end(saga, EndRefund(saga.payment_id, refund_id, True))
        assert decision.saga is not None, "a refund that was reserved"
        saga = decision.saga
        if refund_id not in known and decision.outcome is not None:
            value = wire.encode_payment_outcome(
                decision.outcome, causation_id=derived_id(f"{refund_id}:EndRefund"), append_ms=terms.now_ms
            )
            done.sent.append(OutgoingRecord(topics.PAYMENT_EVENTS, saga.payment_id, value))
    if sum(saga.reserved.values()) + saga.refunded_minor > saga.amount_minor:
        raise InvariantBroken(f"payment {saga.payment_id}: its refunds exceed the amount paid")
    done.saga = saga


def resume_families(
    gathered: PaymentFactsCollector, terms: ResumeTerms
) -> Iterator[dict[PaymentId, ResumedPayment]]:
    """Resume every known payment with its refunds."""
    refunds_of = gathered.refunds_of()
    paid = {payment_id for payment_id, known in gathered.payments.items() if refund_of(known) is None}
    for payment_id in paid:
        yield resume_family(gathered.payments[payment_id], refunds_of.get(payment_id, ()), terms)
    for payment_id in refunds_of.keys() - paid:
        yield resume_family(None, refunds_of[payment_id], terms)
