"""Lists of payments: GET /v1/payments, by wallet, user, status and time, the newest first.

A cursor is the place of the last payment of a page, when it was requested and its id.  It
says nothing of the list's other parameters, which are sent with each page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.ports import PaymentView
from ledger_streams.ports.payment_lists import BEGIN, END, PaymentsAsked, Place
from web.http.operations import Parameter, ref
from web.http.payloads import canonical_id, parse_time
from web.http.problems import unprocessable
from web.payments.responses import PaymentSummary, to_summary
from web.services import Services
from web.views import integer
from web.wallets.balances import time_parameter

PAYMENTS_DEFAULT: Final = 100
PAYMENTS_MAX: Final = 1000
"""Of one page; without metadata a thousand are half a MiB."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TICK: Final = timedelta(microseconds=1)
TIME_BYTES: Final = 8
CURSOR_CHARACTERS: Final = 32
"""Of the 24 bytes of a time, in microseconds, and an id."""

PARAMETERS: Final = (
    Parameter("wallet_id", "Out of this wallet or into it.", ref("Id")),
    Parameter("user_id", "Whose request names this user.", ref("Id")),
    Parameter("status", "With this status.", ref("PaymentStatus")),
    Parameter("from", "Requested from this time on.", ref("Time")),
    Parameter("to", "Requested before this time.", ref("Time")),
    Parameter("after", "`next` of the page before.", {"type": "string"}),
    Parameter("limit", "Of the page.", {"type": "integer", "minimum": 1, "maximum": PAYMENTS_MAX}),
)
NAMES: Final = tuple(parameter.name for parameter in PARAMETERS)


class PaymentsPage(msgspec.Struct, frozen=True):
    """Payments, the newest first; `next` is the `after` of the next page, null on the last."""

    payments: Sequence[PaymentSummary]
    next: str | None


async def payments_page(services: Services, parameters: Mapping[str, str]) -> PaymentsPage:
    """Return a page of the list that the query asks for; raises Rejected 422 naming the parameter."""
    asked = _asked(parameters)
    more = msgspec.structs.replace(asked, limit=asked.limit + 1)
    found = await services.read_model.payments_listed(more)
    page = found[: asked.limit]
    return PaymentsPage([*map(to_summary, page)], _cursor(page[-1]) if len(found) > asked.limit else None)


def _asked(parameters: Mapping[str, str]) -> PaymentsAsked:
    ids = {
        name: canonical_id(parameters[name], field=name)
        for name in ("wallet_id", "user_id")
        if name in parameters
    }
    since, to = (time_parameter(parameters.get(name), field=name) for name in ("from", "to"))
    if since is not None and to is not None and since >= to:
        raise unprocessable("to", "must be after from")
    limit = integer(parameters, "limit", default=PAYMENTS_DEFAULT, smallest=1, largest=PAYMENTS_MAX)
    before = Place(END if to is None else to)
    if "after" in parameters:
        before = min(before, _place(parameters["after"]))
    status = _status(parameters.get("status"))
    return PaymentsAsked(limit, status=status, since=since or BEGIN, before=before, **ids)


def _status(text: str | None) -> PaymentStatus | None:
    if text is None:
        return None
    try:
        return PaymentStatus(text)
    except ValueError as error:
        raise unprocessable("status", f"must be one of {', '.join(PaymentStatus)}") from error


def _cursor(payment: PaymentView) -> str:
    """Write the place of a payment."""
    requested_at = EPOCH if payment.requested_at is None else parse_time(payment.requested_at, field="")
    at_us = (requested_at - EPOCH) // TICK
    return urlsafe_b64encode(
        at_us.to_bytes(TIME_BYTES, signed=True) + UUID(payment.payment_id).bytes
    ).decode()


def _place(cursor: str) -> Place:
    """Read what `_cursor` wrote."""
    try:
        if len(cursor) != CURSOR_CHARACTERS or not cursor.isascii():
            raise ValueError(f"not {CURSOR_CHARACTERS} ASCII characters")
        found = urlsafe_b64decode(cursor)
        at_us = int.from_bytes(found[:TIME_BYTES], signed=True)
        return Place(EPOCH + at_us * TICK, str(UUID(bytes=found[TIME_BYTES:])))
    except (ValueError, OverflowError) as error:
        raise unprocessable("after", "must be `next` of an earlier page, as it was") from error
