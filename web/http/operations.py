"""Operations: declare the request and the responses of a view's methods for web/http/openapi.py.

A view has an `Operation` for each method.  The view's docstring is the summary, the
method's docstring the description; the parameters of the path come from the route.
msgspec generates the schemas of structs; WORDS defines the values that many fields share.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from ledger_streams.domain.money import CURRENCIES
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.domain.wallet import WalletStatus

Schema = Mapping[str, Any]


def ref(name: str) -> dict[str, Any]:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _enum(values: type[StrEnum], description: str) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values], "description": description}


_LIMITS: Final = {
    "type": "object",
    "propertyNames": ref("Currency"),
    "additionalProperties": ref("Limit"),
}
WORDS: Final[Mapping[str, Schema]] = {
    "Id": {
        "type": "string",
        "format": "uuid",
        "description": "Accepted in upper case and without hyphens too; returned lower-case and hyphenated.",
    },
    "Currency": {"type": "string", "enum": sorted(CURRENCIES), "description": "An ISO 4217 code."},
    "Amount": {
        "type": "string",
        "pattern": r"^([1-9][0-9]{0,15}(\.[0-9]{1,4})?"
        r"|0\.([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9]))$",
        "description": "A positive decimal string with at most the digits of its currency.",
    },
    "Limit": {
        "type": "string",
        "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$",
        "description": "A decimal string, 0 or more, with at most the digits of its currency.",
    },
    "Sum": {
        "type": "string",
        "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,4})?$",
        "description": "A decimal string with all digits of its currency.",
    },
    "Time": {"type": "string", "format": "date-time", "description": "RFC 3339; returned in UTC."},
    "PaymentStatus": _enum(PaymentStatus, "Status of a payment."),
    "PaymentKind": _enum(PaymentKind, "Kind of a payment: the parties between which the money moves."),
    "WalletStatus": _enum(WalletStatus, "Status of a wallet."),
    "Reason": _enum(Reason, "Reason of a failed payment, or of a rejected request."),
    "Metadata": {"type": ["object", "null"], "description": "Free data from the request."},
    "Limits": {**_LIMITS, "description": "Overdraft limits by currency."},
    "NewLimits": {**_LIMITS, "minProperties": 1, "description": "Overdraft limits by currency, one or more."},
    "Currencies": {"type": "array", "items": ref("Currency"), "minItems": 1, "uniqueItems": True},
}
"""Schemas of values that mean the same in every struct."""

WORD_OF_FIELD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("wallet_id", "user_id", "payment_id", "hold_id"), "Id"),
    **dict.fromkeys(("source_wallet_id", "target_wallet_id", "refund_of"), "Id"),
    **dict.fromkeys(("available", "held", "balance", "overdraft_limit", "refunded"), "Sum"),
    **dict.fromkeys(("as_of", "occurred_at", "expires_at", "since", "requested_at", "ended_at"), "Time"),
    "amount": "Amount",
    **dict.fromkeys(("opening", "closing", "total_in", "total_out"), "Sum"),
    **dict.fromkeys(("Statement.from", "Statement.to"), "Time"),
    **dict.fromkeys(("PaymentResponse.status", "PaymentSummary.status", "Pending.status"), "PaymentStatus"),
    **dict.fromkeys(("PaymentResponse.kind", "PaymentSummary.kind", "MovementView.kind"), "PaymentKind"),
    **dict.fromkeys(("PaymentResponse.reason", "PaymentSummary.reason", "Problem.reason"), "Reason"),
    **dict.fromkeys(("PaymentResponse.metadata", "PaymentSummary.metadata"), "Metadata"),
    "WalletView.status": "WalletStatus",
    "HoldView.amount": "Sum",
    "MovementView.amount": "Sum",
    "event_id": "Id",
    "counterparty": "Id",
    "LimitsChange.overdraft_limits": "NewLimits",
    "currency": "Currency",
    "currencies": "Currencies",
    "overdraft_limits": "Limits",
}
"""The word of a field, by `field` for all structs, or by `Struct.field`."""


class Named(msgspec.Struct, frozen=True):
    """A handwritten schema and its name in the document."""

    name: str
    schema: Schema


class Parameter(msgspec.Struct, frozen=True):
    """An optional parameter of the query, or of the header for `place` "header"."""

    name: str
    description: str
    schema: Schema
    place: str = "query"


class Success(msgspec.Struct, frozen=True):
    """A successful response; `schema` is a struct, or handwritten."""

    description: str
    schema: type | Named
    headers: Mapping[str, Schema] = {}
    content_type: str = "application/json"


class Operation(msgspec.Struct, frozen=True):
    """Request and responses of a method; `problems` lists statuses beyond those of every body and query."""

    answers: Mapping[int, Success]
    problems: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type | Named | None = None
    body_required: bool = True


IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "Makes the request safe to send again: the API derives an omitted id from it.",
    {"type": "string", "pattern": "^[\\x20-\\x7e]{1,255}$"},
    place="header",
)
LOCATION: Final[Mapping[str, Schema]] = {"Location": {"type": "string"}}
"""Header with the path of the new payment, wallet or hold."""
