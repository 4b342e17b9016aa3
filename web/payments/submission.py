"""Intake: payments that are asked for, many or one, until Kafka has them and, on request, until they end.

    known? -> claimed? -> PaymentRequested on payment-events -> Pending
                              wait -> the read side has it   -> PaymentResponse

An id stands for one content, and whoever has it first holds it: the read model, else a
claim, else the first of the batch.  However many there are, each question is asked
once.  What Kafka has acknowledged is taken, and nothing that goes wrong after that
makes it an error: the caller is told that it is pending.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ledger_streams import background
from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Rejected, Unavailable
from ledger_streams.metrics import CLAIMS_SKIPPED
from ledger_streams.ports import Outcome, PaymentView, WalletView
from web.envelopes import payment_requested, to_message
from web.http.problems import Refused, Unconfirmed
from web.payments.input import PaymentInput
from web.payments.responses import PaymentResponse, Pending, to_response
from web.services import Services
from web.wallets.reads import write_through

log = logging.getLogger(__name__)
T = TypeVar("T")

Answer = PaymentResponse | Pending | Rejected
"""The payment that has ended, the payment that is taken, or why it is not."""


ACCEPT_S_MIN: Final = 2.0
"""So long a payment may take to be acknowledged, however short `wait` is: a silent Redis costs a second."""
CLAIM_S_MAX: Final = 1.0
"""Of a claim, without which a payment is taken as well."""

READ_S_MIN: Final = 0.1
"""For one look at a payment that has ended already, though its caller's time is up."""


async def submit(services: Services, asked: Sequence[PaymentInput], wait_s: float) -> list[Answer]:
    """Have all acknowledged that are new, and return the answer to each, after `wait_s` and a little at most.

    Raises Unavailable when the read model or Kafka is away; some may be taken then.
    """
    clock = asyncio.get_running_loop().time
    until_s = clock() + wait_s
    accept_until_s = clock() + max(wait_s, ACCEPT_S_MIN) if wait_s > 0 else math.inf
    known, holders = await within_deadline(_find_existing(services, asked), accept_until_s - clock())
    fresh: dict[str, PaymentInput] = {}
    for payment in asked:
        if payment.payment_id not in known and _has_claim(holders, payment):
            fresh.setdefault(payment.payment_id, payment)
    await _publish(services, list(fresh.values()), accept_until_s - clock())
    here = {payment.payment_id for payment in asked if _has_claim(holders, payment)}
    left_s = max(until_s - clock(), READ_S_MIN)
    ended = await _await_ends(services, here, left_s) if wait_s > 0 and here else {}
    return [_answer(payment, holders, known, ended) for payment in asked]


async def within_deadline(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return the result; raises Unavailable when time is up."""
    if seconds == math.inf:
        return await work
    try:
        return await background.within(work, seconds)
    except TimeoutError as error:
        raise Unavailable(dependency="read model", detail=f"no answer within {seconds:.1f} s") from error


async def _find_existing(
    services: Services, asked: Sequence[PaymentInput]
) -> tuple[Mapping[str, PaymentView], Mapping[str, str]]:
    """Return the payments that are projected already, and the fingerprint that holds each id."""
    repeatable = [payment.payment_id for payment in asked if payment.repeatable]
    known = await services.read_model.known_payments(repeatable) if repeatable else {}
    holders = {key: view.fingerprint for key, view in known.items()}
    new = [payment for payment in asked if payment.payment_id not in known]
    return known, holders | await _claim_new(services, new)


async def _claim_new(services: Services, new: Sequence[PaymentInput]) -> dict[str, str]:
    """Return the fingerprint that holds each id that is not projected yet.

    Claims cover the time until then; the same request again is written again, harmlessly.
    """
    firsts: dict[str, PaymentInput] = {}
    for payment in new:
        firsts.setdefault(payment.payment_id, payment)
    held = {key: payment.fingerprint for key, payment in firsts.items()}
    claims = {key: held[key] for key, payment in firsts.items() if payment.repeatable}
    if not claims:
        return held
    try:
        async with asyncio.timeout(CLAIM_S_MAX):
            return held | dict(await services.claims.claim(claims))
    except (Unavailable, TimeoutError) as error:
        log.warning("%d payments taken without a claim: %s", len(claims), error)
        CLAIMS_SKIPPED.inc(len(claims))
        return held


async def _publish(services: Services, payments: Sequence[PaymentInput], seconds: float) -> None:
    """Have the payments acknowledged; raises Unconfirmed when they are not, or not in time."""
    if not payments:
        return
    now, topic = services.now(), services.topics.payment_events
    contents = [payment_requested(payment.payment_id, payment.data) for payment in payments]
    messages = [to_message(topic, content, now=now) for content in contents]
    try:
        await within_deadline(services.publisher.publish(messages), seconds)
    except Unavailable as error:
        raise Unconfirmed([payment.payment_id for payment in payments], error.detail) from error


async def _await_ends(
    services: Services, payment_ids: Iterable[str], wait_s: float
) -> Mapping[str, PaymentView]:
    """Return the payments that end in time, once a balance read would see them."""
    epoch = services.cache.epoch
    try:
        waited = await asyncio.gather(*(services.outcomes.wait(key, wait_s) for key in payment_ids))
        outcomes = [outcome for outcome in waited if outcome is not None]
        if not outcomes:
            return {}
        await write_through(services, _newest_wallets(outcomes), epoch)
        return {outcome.payment.payment_id: outcome.payment for outcome in outcomes}
    except Unavailable as error:
        log.warning("payments are taken, their outcomes cannot be read: %s", error)
        return {}


def _newest_wallets(outcomes: Iterable[Outcome]) -> list[WalletView]:
    newest: dict[str, WalletView] = {}
    for outcome in outcomes:
        for wallet in outcome.wallets:
            other = newest.setdefault(wallet.wallet_id, wallet)
            if other.version < wallet.version:
                newest[wallet.wallet_id] = wallet
    return list(newest.values())


def _has_claim(holders: Mapping[str, str], payment: PaymentInput) -> bool:
    return holders[payment.payment_id] == payment.fingerprint


def _answer(
    payment: PaymentInput,
    holders: Mapping[str, str],
    known: Mapping[str, PaymentView],
    ended: Mapping[str, PaymentView],
) -> Answer:
    payment_id = payment.payment_id
    end = ended.get(payment_id)
    if not _has_claim(holders, payment) or (end is not None and end.fingerprint != payment.fingerprint):
        detail = "This payment_id is known with other content; the first payment is unchanged."
        return Refused(reason=Reason.DUPLICATE_MISMATCH, detail=detail)
    if end is not None:
        return to_response(end)
    return Pending(payment_id, known[payment_id].status if payment_id in known else "pending")
