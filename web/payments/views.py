"""Payments: ask for one, look at one.

body -> PaymentInput -> intake -> 202, or 200 with the payment if it is waited for and ends in time
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from aiohttp import web

from ledger_streams.errors import Rejected
from ledger_streams.ports import PaymentView
from web.http.idempotency import id_seed_of
from web.http.operations import IDEMPOTENCY_KEY, LOCATION, Operation, Parameter, Success
from web.http.problems import not_found, unprocessable
from web.payments.input import PAYMENT_BYTES_MAX, PaymentInput, read_payment_input
from web.payments.lists import NAMES, PARAMETERS, PaymentsPage, payments_page
from web.payments.responses import PaymentResponse, Pending, parked_text, to_response
from web.payments.schema import PAYMENT
from web.payments.submission import submit
from web.services import Services
from web.views import LedgerView, json_response, query
from web.wallets.reads import id_in_path

WAIT_S_MAX: Final = 30

_seconds = re.compile(r"\d{1,2}(\.\d{1,3})?", re.ASCII).fullmatch


WAIT: Final = Parameter(
    "wait",
    f"Seconds to wait for the payment's end, at most {WAIT_S_MAX}.",
    {"type": "string", "pattern": r"^(30|[12]?[0-9](\.[0-9]{1,3})?)$"},
)
ANSWERS: Final[Mapping[int, Success]] = {
    200: Success("The payment, which has ended in time", PaymentResponse),
    202: Success("The payment is taken", Pending, LOCATION),
}


class Payments(LedgerView):
    """Ask for a payment, or list those that were asked for."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("A page of them", PaymentsPage)}, parameters=PARAMETERS),
        "POST": Operation(ANSWERS, (409,), (WAIT, IDEMPOTENCY_KEY), PAYMENT),
    }
    body_bytes_max: ClassVar[int] = PAYMENT_BYTES_MAX

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with a page of payments, the newest first; `next` is its cursor, null on the last."""
        return json_response(await payments_page(self.services(request), query(request, *NAMES)))

    async def post(self, request: web.Request) -> web.Response:
        """Answer 202 once the request is acknowledged; with wait, 200 with the payment if it ends in time."""
        services = self.services(request)
        wait_s = wait_in_query(request)
        body = await self.body(request)
        asked = read_payment_input(services, body, id_seed_of(request))
        return await answer_to(services, asked, wait_s)


class PaymentDetail(LedgerView):
    """A payment as it stands."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "GET": Operation({200: Success("The payment", PaymentResponse)}, (404,))
    }

    async def get(self, request: web.Request, payment_id: str) -> web.Response:
        """Answer 200 with the payment and its steps, or 404 until it is projected."""
        query(request)
        services, payment_id = self.services(request), id_in_path(payment_id, "payment")
        parked = await services.read_model.parked(payment_id)
        payment = await services.read_model.payment(payment_id)
        if payment is None and parked:
            raise not_found(f"This payment is not projected: {parked_text(parked)}.")
        return json_response(to_response(payment or await payment_or_404(services, payment_id), parked))


async def answer_to(services: Services, asked: PaymentInput, wait_s: float) -> web.Response:
    """Have one payment taken and return the answer, 200 or 202; raises Rejected 409."""
    (said,) = await submit(services, [asked], wait_s)
    if isinstance(said, Rejected):
        raise said
    if isinstance(said, Pending):
        return json_response(said, status=202, headers={"Location": f"/v1/payments/{said.payment_id}"})
    return json_response(said)


async def payment_or_404(services: Services, payment_id: str) -> PaymentView:
    """Return the payment of the id in the path, with its steps; raises Rejected 404."""
    payment = await services.read_model.payment(id_in_path(payment_id, "payment"))
    if payment is None:
        raise not_found("There is no such payment.")
    return payment


def wait_in_query(request: web.Request) -> float:
    """Return for how many seconds the caller will wait, 0 without `wait`; raises Rejected 422."""
    text = query(request, "wait").get("wait", "0")
    if not _seconds(text) or float(text) > WAIT_S_MAX:
        raise unprocessable("wait", f"must be seconds, 0 to {WAIT_S_MAX}")
    return float(text)
