"""Problems: the API's error responses (RFC 9457).

This module maps each kind of error and each reason of the contract to a status; a test
keeps both maps complete.  A problem tells the client what to change (`field`, `reason`) and
never shows internals: every unexpected error has the same text, and the log its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from ledger_streams.domain.reasons import Reason
from ledger_streams.errors import Rejected, Unavailable, Unreadable

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:ledger-streams:problem:"
RETRY_AFTER_S: Final = 2
"""Retry-After while a dependency is unavailable: about the time of one reconnect."""

SAFE_TO_REPEAT: Final = "A read, and a request with an id or an Idempotency-Key, is safe to send again."
"""A payment without either is not safe: Kafka may have it although the response was lost."""

STATUS_OF_REASON: Final[dict[Reason, int]] = {
    Reason.INSUFFICIENT_FUNDS: 409,
    Reason.WALLET_NOT_FOUND: 404,
    Reason.WALLET_FROZEN: 409,
    Reason.WALLET_CLOSED: 409,
    Reason.CURRENCY_MISMATCH: 409,
    Reason.LIMIT_EXCEEDED: 409,
    Reason.SAME_WALLET: 422,
    Reason.PROVIDER_DECLINED: 409,
    Reason.PROVIDER_TIMEOUT: 503,
    Reason.PROVIDER_UNAVAILABLE: 503,
    Reason.DUPLICATE_MISMATCH: 409,
    Reason.NOT_EMPTY: 409,
    Reason.INVALID: 422,
    Reason.WRONG_PARTITION: 422,
}
"""HTTP status of each reason, for requests that are rejected with it."""

DETAIL_OF_STATUS: Final[dict[int, str]] = {
    400: "The request is not valid HTTP.",
    404: "No resource has this path.",
    405: "This path does not support the method; the Allow header lists the supported ones.",
    413: "The body is larger than the maximum of this path.",
}


class Refused(Rejected):
    """A `Rejected` with a reason of the contract; the reason decides the status."""

    def __init__(self, *, reason: Reason, detail: str, field: str | None = None) -> None:
        title = reason.replace("_", " ").capitalize()
        super().__init__(status=STATUS_OF_REASON[reason], title=title, detail=detail, field=field)
        self.reason = reason


class Unconfirmed(Unavailable):
    """Kafka has not acknowledged the payments in time; they may have been written."""

    def __init__(self, payment_ids: Sequence[str], detail: str) -> None:
        super().__init__(dependency="kafka", detail=detail)
        self.payment_ids = payment_ids

    @property
    def advice(self) -> str:
        """Return the text that tells the client how to send the payments again."""
        if len(self.payment_ids) > 1:
            taken, again = "Some of the payments may have been accepted", "the same ids"
        else:
            taken, again = "The payment may have been accepted", f"payment_id {self.payment_ids[0]}"
        return f"{taken}. Sending again with {again}, or with the same Idempotency-Key, is safe."


class UnknownCoding(Rejected):
    """A 415 whose Accept-Encoding lists the `accepted` content codings (RFC 9110, 12.5.3)."""

    def __init__(self, *, detail: str, accepted: str) -> None:
        super().__init__(status=415, title="Unsupported media type", detail=detail)
        self.accepted = accepted


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of a problem; `field` is the path of the invalid input, such as `overdraft_limits.EUR`."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    reason: str | None = None


def unprocessable(field: str, detail: str) -> Rejected:
    """Return the 422 for an invalid input."""
    return Refused(reason=Reason.INVALID, detail=detail, field=field)


def invalid_content(error: Unreadable) -> Rejected:
    """Return the 422 for input that the domain rejects with the detail `field: problem`.

    The wire's field `value` is the body as a whole, so the problem has no field then.
    """
    field, _, problem = error.detail.partition(": ")
    field = "" if field == "value" else field
    return Refused(reason=Reason(error.reason), detail=problem, field=field)


def prefix_field(problem: Problem, whole: str) -> Problem:
    """Return the problem with the field's path from the request: `amount` becomes `payments[3].amount`."""
    return msgspec.structs.replace(problem, field=f"{whole}.{problem.field}" if problem.field else whole)


def as_sentence(detail: str) -> str:
    """Return the detail of a refusal as a sentence: with a capital letter and a full stop."""
    return f"{detail[:1].upper()}{detail[1:]}."


def not_found(detail: str) -> Rejected:
    """Return the 404 for a missing object."""
    return Rejected(status=404, title="Not found", detail=detail)


def to_problem(error: Exception) -> Problem:
    """Return the problem that the client gets for `error`."""
    match error:
        case Refused():
            return _problem(error.status, error.title, error.detail, field=error.field, reason=error.reason)
        case Rejected():
            return _problem(error.status, error.title, error.detail, field=error.field)
        case Unconfirmed():
            return _problem(503, "Unavailable", f"Unavailable: kafka. {error.advice}")
        case Unavailable():
            detail = f"Unavailable: {error.dependency}. {SAFE_TO_REPEAT}"
            return _problem(503, "Unavailable", detail)
        case web.HTTPException():
            phrase = HTTPStatus(error.status).phrase.capitalize()
            return _problem(error.status, phrase, DETAIL_OF_STATUS.get(error.status, phrase))
        case _:
            return _problem(
                500,
                "Internal error",
                "The request failed with an unexpected error; see the log of the server.",
            )


def problem_response(error: Exception) -> web.Response:
    """Return the response for a request that failed with `error`."""
    problem = to_problem(error)
    response = web.Response(
        body=msgspec.json.encode(problem), status=problem.status, content_type=CONTENT_TYPE
    )
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, UnknownCoding):
        response.headers["Accept-Encoding"] = error.accepted
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return response


def _problem(
    status: int, title: str, detail: str, *, field: str | None = None, reason: str | None = None
) -> Problem:
    slug = title.lower().replace(" ", "-")
    return Problem(
        type=TYPE_PREFIX + slug, title=title, status=status, detail=detail, field=field or None, reason=reason
    )
