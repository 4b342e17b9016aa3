"""Refunds: POST /v1/payments/{id}/refund, a payment of kind refund under a friendlier path.

    body -> PaymentRequested of kind refund -> intake, as of any payment

Whether so much is left is for the refunded payment's saga to say, which alone knows: a
refund beyond it is taken and fails.  Here only the currency is added, in which it was paid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from ledger_streams.ports import PaymentView
from web.http.idempotency import id_seed_of
from web.http.operations import IDEMPOTENCY_KEY, Operation
from web.http.payloads import RefundRequest, convert_body
from web.http.problems import unprocessable
from web.payments.input import PAYMENT_BYTES_MAX, read_payment_input
from web.payments.submission import within_deadline
from web.payments.views import ANSWERS, WAIT, answer_to, payment_or_404, wait_in_query
from web.views import LedgerView


class Refund(LedgerView):
    """Give back a payment, in whole or in part."""

    operations: ClassVar[Mapping[str, Operation]] = {
        "POST": Operation(ANSWERS, (404, 409), (WAIT, IDEMPOTENCY_KEY), RefundRequest, body_required=False)
    }
    body_bytes_max: ClassVar[int] = PAYMENT_BYTES_MAX

    async def post(self, request: web.Request, payment_id: str) -> web.Response:
        """Answer 202 once the refund is acknowledged; with wait, 200 with it if it ends in time; 404."""
        services = self.services(request)
        wait_s = wait_in_query(request)
        id_seed = id_seed_of(request)
        asked = convert_body(await self.optional_body(request), RefundRequest)
        refunded = await within_deadline(
            payment_or_404(services, payment_id), wait_s + 1 if wait_s else math.inf
        )
        refund = read_payment_input(services, _content(asked, refunded), id_seed)
        return await answer_to(services, refund, wait_s)


def _content(asked: RefundRequest, refunded: PaymentView) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(asked)
    if asked.amount is not None and asked.currency is None:
        if not refunded.currency:
            raise unprocessable("amount", "must be left out: the payment has none that could go back")
        content["currency"] = refunded.currency
    return content | {"kind": "refund", "refund_of": refunded.payment_id}
