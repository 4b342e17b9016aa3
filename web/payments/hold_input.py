"""A request for a hold: what the body says, checked, under the id it goes by.

The id is the body's, or derived from the Idempotency-Key, or random.  A hold that ends in
so many seconds ends at another moment whenever it is asked for, so a repetition is known
by the rest of its content.
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
    """A valid request; when it ends is checked only if it is new."""

    hold_id: str
    amount: str
    """With all digits of its currency."""
    currency: str
    expires_at: datetime | None
    expires_in_s: int | None
    reason: str | None

    def checked(self, now: datetime) -> dict[str, Any]:
        """Return the data of HoldFunds; raises Rejected 422 when it would end in the past, or in ages."""
        data = {"hold_id": self.hold_id, "amount": self.amount, "currency": self.currency}
        if self.reason is not None:
            data["reason"] = self.reason
        expires_at = self.expires_at
        if self.expires_in_s is not None:
            expires_at = now + timedelta(seconds=self.expires_in_s)
        if expires_at is None:
            return data
        if not now < expires_at <= now + timedelta(seconds=HOLD_S_MAX):
            raise unprocessable("expires_at", "must be in the future, within ten years")
        return data | {"expires_at": _text(expires_at)}

    def is_of(self, data: Mapping[str, Any]) -> bool:
        """Say whether a FundsHeld has this content."""
        expires_at = data.get("expires_at")
        if (self.amount, self.currency) != (data["amount"], data["currency"]):
            return False
        if self.expires_in_s is not None:
            return expires_at is not None
        return bool(expires_at == (None if self.expires_at is None else _text(self.expires_at)))


def read_hold_input(services: Services, request: web.Request, body: HoldRequest) -> HoldInput:
    """Return the hold that is asked for; raises Rejected 422 naming the field at fault."""
    try:
        currency = check_currency(body.currency, field="currency")
        amount = format_amount(parse_amount(body.amount, currency, field="amount"), currency)
    except Unreadable as error:
        raise invalid_content(error) from error
    if body.expires_at is not None and body.expires_in_s is not None:
        raise unprocessable("expires_in_s", "must be left out beside expires_at")
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
