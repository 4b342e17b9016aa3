"""Payment input: the body of a request for a payment, validated by the domain, with its id.

The id is derived from the Idempotency-Key, or comes from the body, or is random.  A random
id cannot be repeated, so only the other ids are looked up before the API writes a record.
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
"""Maximum size of one payment: its content goes into three topics and a table, a record batch has 1 MiB."""

ID_FIELDS: Final = ("source_wallet_id", "target_wallet_id", "user_id", "refund_of", "hold_id")


class PaymentInput(msgspec.Struct, frozen=True):
    """A valid request; `data` is the content of PaymentRequested with canonical ids."""

    payment_id: str
    data: Mapping[str, Any]
    fingerprint: str
    repeatable: bool
    """Whether the client can repeat the request under the same id."""


def check_fields(body: Mapping[str, Any]) -> None:
    """Raise Rejected 422 for an unknown field; `metadata` may contain anything."""
    for name in body:
        if name not in FIELDS:
            raise unprocessable(name, f"is unknown; allowed: {', '.join(FIELDS)}")


def read_payment_input(services: Services, body: Mapping[str, Any], id_seed: str | None) -> PaymentInput:
    """Return the validated payment; raises Rejected 422 naming the invalid field.

    A payment without an id in the body gets the id derived from `id_seed`, or a random one for None.
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
    """Raise Rejected 422 for a payment that no wallet could carry out."""
    reason = impossible_reason(payment, providers)
    if reason is Reason.SAME_WALLET:
        detail = "must differ from source_wallet_id"
        raise Refused(reason=reason, detail=detail, field="target_wallet_id")
    if reason is not None:
        known = f"one of {', '.join(sorted(providers))}" if providers else "null; no provider is configured"
        raise unprocessable("provider", f"must be {known}")
