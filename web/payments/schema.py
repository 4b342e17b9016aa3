"""The content of a payment as the OpenAPI document tells it: what domain/payment.read_request takes.

One schema a kind, since the kind says which fields there have to be and which must not.
Fields it does not name are refused; `metadata` is free.
"""

from __future__ import annotations

from typing import Any, Final

from ledger_streams.domain.payment import (
    BY_A_PROVIDER,
    INTO_A_WALLET,
    OUT_OF_A_WALLET,
    PROVIDER_CHARACTERS_MAX,
)
from ledger_streams.domain.request import PaymentKind
from web.http.operations import Named, ref

NOTHING: Final = {"type": "null"}
IN_A_CURRENCY: Final = {
    "if": {"required": ["amount"], "properties": {"amount": {"type": "string"}}},
    "then": {"required": ["currency"], "properties": {"currency": {"type": "string"}}},
}
"""A refund may leave out the amount, but not the currency of the one it names."""
WITHOUT_BOTH: Final = {
    "not": {
        "required": ["provider", "hold_id"],
        "properties": {"provider": {"type": "string"}, "hold_id": {"type": "string"}},
    }
}
"""What goes by a provider has a hold of its own."""


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, NOTHING]}


def _kind(kind: PaymentKind) -> dict[str, Any]:
    """Return the schema of one kind of payment."""
    provider = {"type": "string", "minLength": 1, "maxLength": PROVIDER_CHARACTERS_MAX}
    fields: dict[str, tuple[bool, dict[str, Any]]] = {
        "source_wallet_id": (kind in OUT_OF_A_WALLET, ref("Id")),
        "target_wallet_id": (kind in INTO_A_WALLET, ref("Id")),
        "refund_of": (kind is PaymentKind.REFUND, ref("Id")),
    }
    required = [name for name, (is_wanted, _) in fields.items() if is_wanted]
    money = [] if kind is PaymentKind.REFUND else ["amount", "currency"]
    optional_money = {name: ref(name.capitalize()) for name in ("amount", "currency")}
    return {
        "type": "object",
        "title": kind.value,
        "required": ["kind", *required, *money],
        "properties": {
            "kind": {"const": kind.value},
            **{name: schema if is_wanted else NOTHING for name, (is_wanted, schema) in fields.items()},
            **{name: word if money else _or_null(word) for name, word in optional_money.items()},
            "provider": _or_null(provider) if kind in BY_A_PROVIDER else NOTHING,
            "hold_id": _or_null(ref("Id")) if kind in OUT_OF_A_WALLET else NOTHING,
            "payment_id": _or_null(ref("Id")),
            "user_id": _or_null(ref("Id")),
            "metadata": _or_null({"type": "object"}),
        },
        "additionalProperties": False,
        **({} if money else IN_A_CURRENCY),
        **(WITHOUT_BOTH if kind in BY_A_PROVIDER & OUT_OF_A_WALLET else {}),
    }


PAYMENT: Final = Named("Payment", {"oneOf": [_kind(kind) for kind in PaymentKind]})
"""The body of POST /v1/payments."""
