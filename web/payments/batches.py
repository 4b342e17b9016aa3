"""Batches: up to 1,000 payments in one request, each answered as if it had come alone.

    body -> PaymentBatch -> an PaymentInput or a Problem each -> intake of all -> results, in order

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
from web.http.idempotency import id_seed_of
from web.http.operations import IDEMPOTENCY_KEY, Named, Operation, Success, ref
from web.http.payloads import PaymentBatch, parse_batch, parse_json
from web.http.problems import Problem, prefix_field, to_problem
from web.payments.input import PAYMENT_BYTES_MAX, PaymentInput, read_payment_input
from web.payments.responses import PaymentResponse, Pending
from web.payments.submission import Answer, submit
from web.payments.views import WAIT, wait_in_query
from web.services import Services
from web.views import LedgerView, json_response, too_large


class Result(msgspec.Struct, frozen=True):
    """What POST /v1/payments would have answered to one payment of a batch."""

    status_code: int
    body: PaymentResponse | Pending | Problem


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
                        "body": {"anyOf": [ref("PaymentResponse"), ref("Pending"), ref("Problem")]},
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
        batch = parse_batch(await self.body_bytes(request))
        id_seed = id_seed_of(request)
        read = [_read(services, index, part, id_seed) for index, part in enumerate(batch.payments)]
        asked = [payment for payment in read if isinstance(payment, PaymentInput)]
        answers = await submit(services, asked, wait_s) if asked else []
        return json_response(Results(_results(read, answers)))


def _read(services: Services, index: int, part: msgspec.Raw, id_seed: str | None) -> PaymentInput | Rejected:
    """Return a payment, or why it is none; its id is derived from the batch's key and its place."""
    body = bytes(part)
    try:
        if len(body) > PAYMENT_BYTES_MAX:
            raise too_large(PAYMENT_BYTES_MAX)
        return read_payment_input(
            services, parse_json(body), None if id_seed is None else f"{id_seed}:{index}"
        )
    except Rejected as error:
        return error


def _results(read: Iterable[PaymentInput | Rejected], answers: Iterable[Answer]) -> list[Result]:
    following = iter(answers)
    return [
        _result(index, next(following) if isinstance(payment, PaymentInput) else payment)
        for index, payment in enumerate(read)
    ]


def _result(index: int, said: Answer) -> Result:
    if isinstance(said, Rejected):
        problem = prefix_field(to_problem(said), f"payments[{index}]")
        return Result(problem.status, problem)
    status = HTTPStatus.ACCEPTED if isinstance(said, Pending) else HTTPStatus.OK
    return Result(int(status), said)
