"""A request for a payment: what the body says, checked by the domain, under the id it goes by.

The id is derived from the Idempotency-Key, or the body's, or random.  Only the first
two can be asked for twice, so only they are looked up before anything is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from ledger_streams import wire
from ledger_streams.domain.payment import FIELDS, fingerprint, impossible_reason, read_request
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentRequest
from ledger_streams.errors import Unreadable
from web.http.idempotency import check_given_id, make_id
from web.http.payloads import canonical_id_or_same
from web.http.problems import Refused, invalid_content, unprocessable
from web.services import Services

PAYMENT_BYTES_MAX: Final = 256 * 1024
"""A payment's content is copied into three topics and a table, and a record batch takes 1 MiB."""

ID_FIELDS: Final = ("source_wallet_id", "target_wallet_id", "user_id", "refund_of", "hold_id")


class PaymentInput(msgspec.Struct, frozen=True):
    """A valid request; `data` is PaymentRequested's, with canonical ids."""

    payment_id: str
    data: Mapping[str, Any]
    fingerprint: str
    repeatable: bool
    """Whether the caller can ask for the same payment again."""


def check_fields(body: Mapping[str, Any]) -> None:
    """Raise Rejected 422 naming a field that a payment does not have; `metadata` is free."""
    for name in body:
        if name not in FIELDS:
            raise unprocessable(name, f"is unknown; a payment has: {', '.join(FIELDS)}")


def read_payment_input(services: Services, body: Mapping[str, Any], id_seed: str | None) -> PaymentInput:
    """Return the payment that is asked for; raises Rejected 422 naming the field at fault.

    `id_seed` is the text its id comes from; None: from the body, or a random one.
    """
    given = body.get("payment_id")
    payment_id = make_id(services, id_seed) if given is None else canonical_id_or_same(given)
    check_fields(body)
    ids = {field: canonical_id_or_same(body[field]) for field in ID_FIELDS if field in body}
    data = {**body, **ids, "payment_id": payment_id}
    try:
        payment = read_request(data, at="")
        wire.check_sendable(data)
        digest = fingerprint(data)
    except Unreadable as error:
        raise invalid_content(error) from error
    if given is not None:
        check_given_id(payment.payment_id, id_seed, field="payment_id")
    _check_possible(payment, services.providers)
    repeatable = given is not None or id_seed is not None
    return PaymentInput(payment.payment_id, data, digest, repeatable)


def _check_possible(payment: PaymentRequest, providers: Collection[str]) -> None:
    """Refuse what no wallet has to be asked about; raises Rejected 422."""
    reason = impossible_reason(payment, providers)
    if reason is Reason.SAME_WALLET:
        detail = "must be another wallet than source_wallet_id"
        raise Refused(reason=reason, detail=detail, field="target_wallet_id")
    if reason is not None:
        known = f"one of {', '.join(sorted(providers))}" if providers else "null: no provider is configured"
        raise unprocessable("provider", f"must be {known}")
