"""Operations: how a view says what it takes and answers; web/http/openapi.py makes the document of them.

A view has an `Operation` for each of its methods.  Its summary is the docstring of the
view, its description that of the method; parameters in the path are read off the path.
Schemas of structs are generated; WORDS is what a field's name means wherever it stands.
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
        "description": "Taken in upper case and without hyphens too; answered lower-case and hyphenated.",
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
    "Time": {"type": "string", "format": "date-time", "description": "RFC 3339; answered in UTC."},
    "PaymentStatus": _enum(PaymentStatus, "How a payment stands."),
    "PaymentKind": _enum(PaymentKind, "Between whom the money moves."),
    "WalletStatus": _enum(WalletStatus, "How a wallet stands."),
    "Reason": _enum(Reason, "Why a payment failed, or a request was refused."),
    "Metadata": {"type": ["object", "null"], "description": "What the request said beside the payment."},
    "Limits": {**_LIMITS, "description": "Overdraft limits by currency."},
    "NewLimits": {**_LIMITS, "minProperties": 1, "description": "Overdraft limits by currency, one or more."},
    "Currencies": {"type": "array", "items": ref("Currency"), "minItems": 1, "uniqueItems": True},
}
"""The values that mean the same wherever they are."""

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
"""Which word the fields of structs are, by their names, or by the struct's and theirs."""


class Named(msgspec.Struct, frozen=True):
    """A schema that is written by hand and has a name in the document."""

    name: str
    schema: Schema


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the query, or of the header where `place` says so; all may be left out."""

    name: str
    description: str
    schema: Schema
    place: str = "query"


class Success(msgspec.Struct, frozen=True):
    """An answer that is no problem; `schema` is a struct, or written by hand."""

    description: str
    schema: type | Named
    headers: Mapping[str, Schema] = {}
    content_type: str = "application/json"


class Operation(msgspec.Struct, frozen=True):
    """What a method takes and answers; `problems` are statuses, those of any body and query aside."""

    answers: Mapping[int, Success]
    problems: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: type | Named | None = None
    body_required: bool = True


IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "Makes the request safe to send again: ids that are left out are derived from it.",
    {"type": "string", "pattern": "^[\\x20-\\x7e]{1,255}$"},
    place="header",
)
LOCATION: Final[Mapping[str, Schema]] = {"Location": {"type": "string"}}
"""Where to look at what was asked for."""
