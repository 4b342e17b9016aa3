"""Operations: how a view says what it takes and answers; web/openapi.py makes the document of them.

A view has an `Operation` for each of its methods.  Its summary is the docstring of the
view, its description that of the method; parameters in the path are read off the path.
What the schemas say is what the views let pass: no more, and only where JSON Schema
cannot tell it (the digits of a currency) less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ledger_streams.domain.money import CURRENCIES

Schema = Mapping[str, Any]


def ref(name: str) -> dict[str, Any]:
    """Return the reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


WORDS: Final[Mapping[str, Schema]] = {
    "Id": {
        "type": "string",
        "format": "uuid",
        "description": "Taken in upper case and without hyphens too; answered lower-case and hyphenated.",
    },
    "Currency": {"type": "string", "enum": sorted(CURRENCIES), "description": "An ISO 4217 code."},
    "Amount": {
        "type": "string",
        "pattern": r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$",
        "description": "A decimal string with at most the digits of its currency; as a payment's amount positive.",
    },
}
"""The texts that mean the same wherever they are."""

Id = Annotated[str, Meta(extra_json_schema=ref("Id"))]
Currency = Annotated[str, Meta(extra_json_schema=ref("Currency"))]
Amount = Annotated[str, Meta(extra_json_schema=ref("Amount"))]


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


class Answer(msgspec.Struct, frozen=True):
    """An answer that is no problem; `schema` is a struct, or one written by hand."""

    description: str
    schema: type | Schema
    headers: Mapping[str, Schema] = {}
    content_type: str = "application/json"


class Operation(msgspec.Struct, frozen=True):
    """What a method takes and answers; `problems` are statuses, those of any body aside."""

    answers: Mapping[int, Answer]
    problems: tuple[int, ...]
    parameters: tuple[Parameter, ...] = ()
    body: type | Named | None = None


IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "Makes the request safe to send again: ids that are left out are derived from it.",
    {"type": "string", "pattern": "^[\\x20-\\x7e]{1,255}$"},
    place="header",
)
