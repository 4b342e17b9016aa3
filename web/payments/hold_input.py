"""Hold input: the validated body of a request for a hold, with its id.

The id comes from the body, or is derived from the Idempotency-Key, or is random.  A
repeated request with `expires_in_s` has another expiry time than the first one, so the
comparison with the existing hold leaves that time out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from ledger_streams import wire
from ledger_streams.domain.money import check_currency, format_amount, parse_amount
from ledger_streams.errors import Unreadable
from web.http.idempotency import check_given_id, id_seed_of, make_id
from web.http.payloads import HOLD_S_MAX, HoldRequest, canonical_id, parse_time
from web.http.problems import invalid_content, unprocessable
from web.services import Services


class HoldInput(msgspec.Struct, frozen=True):
    """A valid request; `checked` tests the expiry only for a new hold."""

    hold_id: str
    amount: str
    """Decimal string with all digits of the currency."""
    currency: str
    expires_at: datetime | None
    expires_in_s: int | None
    reason: str | None

    def checked(self, now: datetime) -> dict[str, Any]:
        """Return the data of HoldFunds; raises Rejected 422 for an expiry in the past or after ten years."""
        data = {"hold_id": self.hold_id, "amount": self.amount, "currency": self.currency}
        if self.reason is not None:
            data["reason"] = self.reason
        expires_at = self.expires_at
        if self.expires_in_s is not None:
            expires_at = now + timedelta(seconds=self.expires_in_s)
        if expires_at is None:
            return data
        if not now < expires_at <= now + timedelta(seconds=HOLD_S_MAX):
            raise unprocessable("expires_at", "must be in the future, and at most ten years ahead")
        return data | {"expires_at": _text(expires_at)}

    def is_of(self, data: Mapping[str, Any]) -> bool:
        """Return whether a FundsHeld has the content of this request."""
        expires_at = data.get("expires_at")
        if (self.amount, self.currency) != (data["amount"], data["currency"]):
            return False
        if self.expires_in_s is not None:
            return expires_at is not None
        return bool(expires_at == (None if self.expires_at is None else _text(self.expires_at)))


def read_hold_input(services: Services, request: web.Request, body: HoldRequest) -> HoldInput:
    """Return the validated hold; raises Rejected 422 naming the invalid field."""
    try:
        currency = check_currency(body.currency, field="currency")
        amount = format_amount(parse_amount(body.amount, currency, field="amount"), currency)
    except Unreadable as error:
        raise invalid_content(error) from error
    if body.expires_at is not None and body.expires_in_s is not None:
        raise unprocessable("expires_in_s", "must be omitted when expires_at is given")
    expires_at = None if body.expires_at is None else parse_time(body.expires_at, field="expires_at")
    hold_id = _hold_id(services, request, body.hold_id)
    return HoldInput(hold_id, amount, currency, expires_at, body.expires_in_s, body.reason)


def _hold_id(services: Services, request: web.Request, given: str | None) -> str:
    id_seed = id_seed_of(request)
    if given is None:
        return make_id(services, id_seed, prefix="hold:")
    return check_given_id(canonical_id(given, field="hold_id"), id_seed, field="hold_id", prefix="hold:")


def _text(at: datetime) -> str:
    return wire.time_text(wire.time_ms(at))
