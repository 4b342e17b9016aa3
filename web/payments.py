"""Payments: ask for one, look at one.

    body -> AskedPayment -> known? claimed? -> PaymentRequested on payment-events -> 202
                                                    ?wait= -> the read side has it -> 200

Once Kafka has acknowledged the request it is taken, and nothing that goes wrong after
that makes it an error: the caller is told that it is pending.
"""

from __future__ import annotations

import logging
import re
from typing import Any, ClassVar, Final

from aiohttp import web

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Unavailable
from ledger_streams.metrics import CLAIMS_SKIPPED
from ledger_streams.ports import PaymentView
from web.envelopes import enveloped, payment_requested
from web.payment_request import AskedPayment, asked_payment
from web.problems import Refused, not_found, unprocessable
from web.reading import id_in_path, write_through
from web.services import Services
from web.views import LedgerView, answer, query

log = logging.getLogger(__name__)

PAYMENT_BYTES_MAX: Final = 256 * 1024
"""A payment's content is copied into three topics and a table, and a record batch takes 1 MiB."""

WAIT_S_MAX: Final = 30

_seconds = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII).fullmatch


class Payments(LedgerView):
    """POST /v1/payments."""

    body_bytes_max: ClassVar[int] = PAYMENT_BYTES_MAX

    async def post(self, request: web.Request) -> web.Response:
        """Answer 202 once the request is acknowledged; with wait, 200 with the payment if it ends in time."""
        services = self.services(request)
        wait_s = _wait_s(query(request, "wait").get("wait", "0"))
        asked = asked_payment(services, request, await self.body(request))
        status = await _taken(services, asked)
        ended = await _ended(services, asked, wait_s) if wait_s > 0 else None
        if ended is not None:
            return answer(_body(ended))
        body = {"payment_id": asked.payment_id, "status": status}
        return answer(body, status=202, headers={"Location": f"/v1/payments/{asked.payment_id}"})


class PaymentDetail(LedgerView):
    """GET /v1/payments/{payment_id}."""

    async def get(self, request: web.Request, payment_id: str) -> web.Response:
        """Answer 200 with the payment and its steps, or 404 until it is projected."""
        query(request)
        payment = await self.services(request).read_model.payment(id_in_path(payment_id, "payment"))
        if payment is None:
            raise not_found("There is no such payment.")
        return answer(_body(payment))


async def _taken(services: Services, asked: AskedPayment) -> str:
    """Have the request acknowledged by Kafka, unless it was before, and return the payment's status."""
    if asked.repeatable:
        known = (await services.read_model.known_payments([asked.payment_id])).get(asked.payment_id)
        if known is not None:
            _check_same(known.fingerprint, asked)
            return known.status
        await _claim(services, asked)
    content = payment_requested(asked.payment_id, asked.data)
    message = enveloped(services.topics.payment_events, content, now=services.now())
    await services.publisher.publish([message])
    return "pending"


async def _claim(services: Services, asked: AskedPayment) -> None:
    """Cover the time until the request is projected; the same request again is written again, harmlessly."""
    try:
        holder = await services.claims.claim(asked.payment_id, asked.fingerprint)
    except Unavailable as error:
        log.warning("payment %s taken without a claim: %s", asked.payment_id, error)
        CLAIMS_SKIPPED.inc()
    else:
        _check_same(holder, asked)


async def _ended(services: Services, asked: AskedPayment, wait_s: float) -> PaymentView | None:
    """Return the payment if it ends in time, once a balance read would see it."""
    try:
        outcome = await services.outcomes.wait(asked.payment_id, wait_s)
        if outcome is None:
            return None
        _check_same(outcome.payment.fingerprint, asked)
        await write_through(services, outcome.wallets)
        with_steps = await services.read_model.payment(asked.payment_id)
    except Unavailable as error:
        log.warning("payment %s is taken, its outcome cannot be read: %s", asked.payment_id, error)
        return None
    return with_steps or outcome.payment


def _check_same(fingerprint: str, asked: AskedPayment) -> None:
    if fingerprint != asked.fingerprint:
        detail = "This payment_id is known with other content; the first payment is unchanged."
        raise Refused(reason=Reason.DUPLICATE_MISMATCH, detail=detail)


def _wait_s(text: str) -> float:
    if not _seconds(text) or float(text) > WAIT_S_MAX:
        raise unprocessable("wait", f"must be seconds, 0 to {WAIT_S_MAX}")
    return float(text)


def _body(payment: PaymentView) -> dict[str, Any]:
    """Return the payment as the contract shows it; what an unreadable request did not say is null."""
    return {
        "payment_id": payment.payment_id,
        "kind": payment.kind or None,
        "status": payment.status,
        "reason": payment.reason,
        "amount": payment.amount or None,
        "currency": payment.currency or None,
        "source_wallet_id": payment.source_wallet_id,
        "target_wallet_id": payment.target_wallet_id,
        "steps": payment.steps,
    }
