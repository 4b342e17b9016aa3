"""Problems: what the API answers when it does not do as it was asked (RFC 9457).

Each kind of error has one place here that gives its status, and each reason of the
contract too; a test keeps both maps complete.  A problem tells the caller what to
change (`field`, `reason`) and never what is inside: an error nobody foresaw has the
same empty words for everyone, and its traceback in the log.
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
"""What a caller is told to wait while a dependency is away: about the time of one reconnect."""

SAFE_TO_REPEAT: Final = "A read, and a request with an id or an Idempotency-Key, is safe to send again."
"""Not so a payment without either: it may have been written before the answer was lost."""

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
"""The status of each reason, where a reason is the answer to the request itself."""

DETAIL_OF_STATUS: Final[dict[int, str]] = {
    400: "The request is not one of HTTP.",
    404: "Nothing is served at this path.",
    405: "The path does not take this method; the Allow header lists those it takes.",
    413: "The body is longer than this path takes.",
}


class Refused(Rejected):
    """A `Rejected` with one of the contract's reasons, which also decides the status."""

    def __init__(self, *, reason: Reason, detail: str, field: str | None = None) -> None:
        title = reason.replace("_", " ").capitalize()
        super().__init__(status=STATUS_OF_REASON[reason], title=title, detail=detail, field=field)
        self.reason = reason


class Unconfirmed(Unavailable):
    """Kafka has not acknowledged payments that were sent to it: they may be taken, or not."""

    def __init__(self, payment_ids: Sequence[str], detail: str) -> None:
        super().__init__(dependency="kafka", detail=detail)
        self.payment_ids = payment_ids

    @property
    def advice(self) -> str:
        """Say how to find out, and how to send it again."""
        if len(self.payment_ids) > 1:
            taken, again = "Some of the payments may have been taken", "the same ids"
        else:
            taken, again = "The payment may have been taken", f"payment_id {self.payment_ids[0]}"
        return f"{taken}. To send it again with {again}, or with the same Idempotency-Key, is safe."


class UnknownCoding(Rejected):
    """A 415 that names, in Accept-Encoding, the content codings that are `accepted` (RFC 9110, 12.5.3)."""

    def __init__(self, *, detail: str, accepted: str) -> None:
        super().__init__(status=415, title="Unsupported media type", detail=detail)
        self.accepted = accepted


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of a problem; `field` is the path of the input at fault, such as `overdraft_limits.EUR`."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    reason: str | None = None


def unprocessable(field: str, detail: str) -> Rejected:
    """Return the 422 for an input that is there but wrong."""
    return Refused(reason=Reason.INVALID, detail=detail, field=field)


def invalid_content(error: Unreadable) -> Rejected:
    """Return the 422 for what the domain could not read; its detail is `field: what is wrong`.

    A body as a whole is no field: it is what the wire calls `value`.
    """
    field, _, problem = error.detail.partition(": ")
    field = "" if field == "value" else field
    return Refused(reason=Reason(error.reason), detail=problem, field=field)


def prefix_field(problem: Problem, whole: str) -> Problem:
    """Return the problem of a part as it is called from outside: `amount` is `payments[3].amount`."""
    return msgspec.structs.replace(problem, field=f"{whole}.{problem.field}" if problem.field else whole)


def not_found(detail: str) -> Rejected:
    """Return the 404 for a thing that is not there."""
    return Rejected(status=404, title="Not found", detail=detail)


def to_problem(error: Exception) -> Problem:
    """Say what the caller is told about `error`."""
    match error:
        case Refused():
            return _problem(error.status, error.title, error.detail, field=error.field, reason=error.reason)
        case Rejected():
            return _problem(error.status, error.title, error.detail, field=error.field)
        case Unconfirmed():
            return _problem(503, "Unavailable", f"Not available for the moment: kafka. {error.advice}")
        case Unavailable():
            detail = f"Not available for the moment: {error.dependency}. {SAFE_TO_REPEAT}"
            return _problem(503, "Unavailable", detail)
        case web.HTTPException():
            phrase = HTTPStatus(error.status).phrase.capitalize()
            return _problem(error.status, phrase, DETAIL_OF_STATUS.get(error.status, phrase))
        case _:
            return _problem(500, "Internal error", "The request could not be answered; the log says why.")


def problem_response(error: Exception) -> web.Response:
    """Return the answer to a request that ended in `error`."""
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
