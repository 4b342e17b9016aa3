"""Submission: writes requested payments to Kafka and, with `wait`, waits for their outcomes.

    known? -> claimed? -> PaymentRequested on payment-events -> Pending
                              wait -> projected outcome      -> PaymentResponse

A payment_id stands for one content.  The first content wins: the one in the read model,
else the claimed one, else the first in the batch.  A batch makes one query to each store.
A payment that Kafka has acknowledged is accepted.  A later failure does not turn it into
an error: the response says that the payment is pending.
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
"""The ended payment, the accepted payment, or the reason of the rejection."""


ACCEPT_S_MIN: Final = 2.0
"""Minimum time for the acknowledgement, also for a shorter `wait`: an unresponsive Redis costs 1 s of it."""
CLAIM_S_MAX: Final = 1.0
"""Maximum time for a claim; after that the payment is accepted without one."""

READ_S_MIN: Final = 0.1
"""Minimum time to read the outcome, so that a payment that has ended is found after the deadline too."""


async def submit(services: Services, asked: Sequence[PaymentInput], wait_s: float) -> list[Answer]:
    """Write the new payments to Kafka and return the answer for each input, within about `wait_s`.

    Raises Unavailable when the read model or Kafka is unavailable; some of the payments may
    have been accepted by then.
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
    """Return the result of `work`; raises Unavailable after `seconds`."""
    if seconds == math.inf:
        return await work
    try:
        return await background.within(work, seconds)
    except TimeoutError as error:
        raise Unavailable(dependency="read model", detail=f"no answer within {seconds:.1f} s") from error


async def _find_existing(
    services: Services, asked: Sequence[PaymentInput]
) -> tuple[Mapping[str, PaymentView], Mapping[str, str]]:
    """Return the projected payments by id, and the fingerprint that holds each id."""
    repeatable = [payment.payment_id for payment in asked if payment.repeatable]
    known = await services.read_model.known_payments(repeatable) if repeatable else {}
    holders = {key: view.fingerprint for key, view in known.items()}
    new = [payment for payment in asked if payment.payment_id not in known]
    return known, holders | await _claim_new(services, new)


async def _claim_new(services: Services, new: Sequence[PaymentInput]) -> dict[str, str]:
    """Claim the ids that are not projected yet; return the fingerprint that holds each id.

    A claim protects an id until its payment is projected.  A repeated request with the same
    content is written again; the payments agent ignores it.
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
        log.warning("Claims unavailable, %d payments accepted without a claim: %s", len(claims), error)
        CLAIMS_SKIPPED.inc(len(claims))
        return held


async def _publish(services: Services, payments: Sequence[PaymentInput], seconds: float) -> None:
    """Write the payments to Kafka; raises Unconfirmed without an acknowledgement within `seconds`."""
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
    """Return the payments that end within `wait_s`, after their wallets are in the cache."""
    epoch = services.cache.epoch
    try:
        waited = await asyncio.gather(*(services.outcomes.wait(key, wait_s) for key in payment_ids))
        outcomes = [outcome for outcome in waited if outcome is not None]
        if not outcomes:
            return {}
        await write_through(services, _newest_wallets(outcomes), epoch)
        return {outcome.payment.payment_id: outcome.payment for outcome in outcomes}
    except Unavailable as error:
        log.warning("Outcomes of accepted payments cannot be read, answering pending: %s", error)
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
        detail = "This payment_id exists with other content; the first payment is unchanged."
        return Refused(reason=Reason.DUPLICATE_MISMATCH, detail=detail)
    if end is not None:
        return to_response(end)
    return Pending(payment_id, known[payment_id].status if payment_id in known else "pending")
