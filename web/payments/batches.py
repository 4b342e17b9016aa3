"""Batches: up to 1,000 payments in one request, each answered as if it had come alone.

    body -> PaymentBatch -> an AskedPayment or a Problem each -> intake of all -> results, in order

No payment hinders another: what is wrong with one is its own result.  Only what is
wrong with the request as a whole, or a dependency that is away, is a problem of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import ClassVar, Final

import msgspec
from aiohttp import web

from ledger_streams.errors import Rejected
from web.http.idempotency import text_to_derive_from
from web.http.operations import IDEMPOTENCY_KEY, Named, Operation, Success, ref
from web.http.payloads import PaymentBatch, batch_of, json_of
from web.http.problems import Problem, problem_of, within
from web.payments.input import PAYMENT_BYTES_MAX, AskedPayment, asked_payment
from web.payments.responses import PaymentShown, Pending
from web.payments.submission import Answer, taken
from web.payments.views import WAIT, wait_in_query
from web.services import Services
from web.views import LedgerView, answer, too_large


class Result(msgspec.Struct, frozen=True):
    """What POST /v1/payments would have answered to one payment of a batch."""

    status_code: int
    body: PaymentShown | Pending | Problem


class Results(msgspec.Struct, frozen=True):
    """The results of a batch, in its order."""

    results: list[Result]


RESULTS: Final = Named(
    "Results",
    {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["status_code", "body"],
                    "properties": {
                        "status_code": {"type": "integer"},
                        "body": {"anyOf": [ref("PaymentShown"), ref("Pending"), ref("Problem")]},
                    },
                },
            }
        },
    },
)
"""`Results`, whose bodies are of several types: no schema can be generated of it."""


class Batches(LedgerView):
    """Up to 1,000 payments at once, each answered as if it had come alone."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation(
            {200: Success("A result for each, in order", RESULTS)},
            parameters=(WAIT, IDEMPOTENCY_KEY),
            body=PaymentBatch,
        )
    }

    async def post(self, request: web.Request) -> web.Response:
        """Answer 200 with a result for each payment, once all that are taken are acknowledged."""
        services = self.services(request)
        wait_s = wait_in_query(request)
        batch = batch_of(await self.body_bytes(request))
        derived_from = text_to_derive_from(request)
        read = [_read(services, index, part, derived_from) for index, part in enumerate(batch.payments)]
        asked = [payment for payment in read if isinstance(payment, AskedPayment)]
        answers = await taken(services, asked, wait_s) if asked else []
        return answer(Results(_results(read, answers)))


def _read(
    services: Services, index: int, part: msgspec.Raw, derived_from: str | None
) -> AskedPayment | Rejected:
    """Return a payment, or why it is none; its id is derived from the batch's key and its place."""
    body = bytes(part)
    try:
        if len(body) > PAYMENT_BYTES_MAX:
            raise too_large(PAYMENT_BYTES_MAX)
        return asked_payment(
            services, json_of(body), None if derived_from is None else f"{derived_from}:{index}"
        )
    except Rejected as error:
        return error


def _results(read: Iterable[AskedPayment | Rejected], answers: Iterable[Answer]) -> list[Result]:
    following = iter(answers)
    return [
        _result(index, next(following) if isinstance(payment, AskedPayment) else payment)
        for index, payment in enumerate(read)
    ]


def _result(index: int, said: Answer) -> Result:
    if isinstance(said, Rejected):
        problem = within(problem_of(said), f"payments[{index}]")
        return Result(problem.status, problem)
    status = HTTPStatus.ACCEPTED if isinstance(said, Pending) else HTTPStatus.OK
    return Result(int(status), said)
