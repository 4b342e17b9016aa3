"""Payloads: request bodies, from bytes to typed values, with the field named that is wrong.

Three gates in this order: it is JSON in which no key stands twice (else 400), it can be sent
and stored, by the same check as whatever is read from a topic, and it has the shape asked for
(else 422).  Ids come out canonical.  No body may have unknown fields: a misspelt limit would be
no limit, and a misspelt hold_id would take money that is free.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ledger_streams import wire
from ledger_streams.errors import Rejected, Unreadable
from ledger_streams.wire.repeated_keys import find_repeated_key, key_text
from web.http.problems import invalid_content, unprocessable

T = TypeVar("T")

REASON_CHARACTERS_MAX: Final = 500
"""The reason of an administrative command is a sentence, kept for ever."""

HOLD_S_MAX: Final = 10 * 366 * 86_400
"""Ten years: a hold for longer is a mistake of units."""

ReasonGiven = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]

FRACTION_DIGITS_MAX: Final = 6
"""Of a second: PostgreSQL and Python keep microseconds, and a time is refused rather than cut."""

NOT_JSON: Final = "The body is not JSON in UTF-8, or nested without end."
EMPTY: Final = "The body is empty."

BATCH_PAYMENTS_MAX: Final = 1000
"""Of one batch: they are taken within about a second, and are one produce request a partition."""

_id = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE | re.ASCII
).fullmatch
_rfc3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?P<fraction>\d+))?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII
).fullmatch
_path = re.compile(r" - at `\$\.?(?P<path>.*)`\Z")
_named = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>[^`]*)`")


class WalletOpening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/wallets; limits are decimal strings by currency."""

    user_id: str
    currencies: list[str]
    overdraft_limits: dict[str, str] | None = None
    wallet_id: str | None = None


class StatusChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of freeze, unfreeze and close."""

    reason: ReasonGiven


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST holds; it ends by itself at `expires_at`, or in so many seconds, or never."""

    amount: str
    currency: str
    hold_id: str | None = None
    expires_at: str | None = None
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=HOLD_S_MAX)] | None = None
    reason: ReasonGiven | None = None


class HoldEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST release, which may be left out."""

    reason: ReasonGiven | None = None


class LimitsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT limits: the currencies named get these limits, the others keep theirs."""

    overdraft_limits: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


class RefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of POST refund; without an amount it is all that is left of the payment."""

    amount: str | None = None
    currency: str | None = None
    payment_id: str | None = None
    user_id: str | None = None
    metadata: dict[str, Any] | None = None


class PaymentBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/payments/batch; each payment is still the bytes that came."""

    payments: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=BATCH_PAYMENTS_MAX)]


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` is; raises Rejected 400, else 422."""
    try:
        return wire.read_document(body)
    except wire.RepeatedKey as error:
        raise _not_json(f"In the body, {error.detail.partition(': ')[2]}.") from error
    except wire.NotJson as error:
        raise _not_json(NOT_JSON if body else EMPTY) from error
    except Unreadable as error:
        raise invalid_content(error) from error


def parse_batch(body: bytes) -> PaymentBatch:
    """Return the batch that `body` is, without a look into its payments; raises Rejected 400, else 422."""
    try:
        batch: PaymentBatch = msgspec.json.decode(body, type=PaymentBatch)
    except msgspec.ValidationError as error:
        _check_keys(body)
        raise unprocessable(*_field_and_problem(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(NOT_JSON if body else EMPTY) from error
    if body.count(b":") - sum(bytes(part).count(b":") for part in batch.payments) > 1:
        raise _not_json("In the body, the key payments stands twice in one object.")
    return batch


def _check_keys(body: bytes) -> None:
    """Raise Rejected 400 where a body whose shape is wrong is no JSON to its end, or has a key twice."""
    try:
        repeated = find_repeated_key(body)
    except (ValueError, RecursionError) as error:
        raise _not_json(NOT_JSON) from error
    if repeated is not None:
        raise _not_json(f"In the body, {key_text(repeated)} stands twice in one object.")


def _not_json(detail: str) -> Rejected:
    return Rejected(status=400, title="Not JSON", detail=detail)


def convert_body(value: dict[str, Any], kind: type[T]) -> T:
    """Return the object as a `kind`; raises Rejected 422."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise unprocessable(*_field_and_problem(str(error))) from error


def parse_time(text: str, *, field: str) -> datetime:
    """Return the time that RFC 3339 text means, in UTC; raises Rejected 422."""
    try:
        written = _rfc3339(text)
        if not written:
            raise ValueError("not RFC 3339")
        if len(written["fraction"] or "") > FRACTION_DIGITS_MAX:
            raise unprocessable(field, f"must have at most {FRACTION_DIGITS_MAX} digits after the second")
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise unprocessable(field, "must be a time as RFC 3339 has it, with Z or an offset") from error


def canonical_id(text: str, *, field: str) -> str:
    """Return the UUID lower-case and hyphenated; raises Rejected 422."""
    if not _id(text):
        raise unprocessable(field, "must be a UUID")
    return _hyphenated(text)


def canonical_id_or_same(value: object) -> object:
    """Return an id canonical, and anything else as it is."""
    return _hyphenated(value) if isinstance(value, str) and _id(value) else value


def _hyphenated(text: str) -> str:
    digits = text.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _field_and_problem(message: str) -> tuple[str, str]:
    """Split a message of msgspec: "Expected `str`, got `int` - at `$.user_id`"."""
    at = _path.search(message)
    path, problem = (at["path"], message[: at.start()]) if at else ("", message)
    named = _named.match(problem)
    if named:
        return f"{path}.{named['name']}".lstrip("."), "is missing" if "missing" in problem else "is unknown"
    return path.replace("[...]", ""), problem.replace("`", "").replace("Expected", "must be")
