"""The OpenAPI document: valid, and of exactly the paths that the API serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from ledger_streams.domain.money import parse_amount, parse_limit
from ledger_streams.domain.payment import read_request
from ledger_streams.errors import Unreadable
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, WALLET, Stage, served
from web.http.openapi import document
from web.routes import API_PAGES, HEALTH_PAGES

WANTED = {
    "transfer": ("source_wallet_id", "target_wallet_id"),
    "deposit": ("target_wallet_id",),
    "withdrawal": ("source_wallet_id",),
    "refund": ("refund_of",),
}
IDS = {"source_wallet_id": WALLET, "target_wallet_id": OTHER_WALLET, "refund_of": PAYMENT}
OPTIONAL = {"provider": "acme", "hold_id": PAYMENT}
DECIMALS = (
    "0",
    "0.0",
    "0.0000",
    "0.0001",
    "0.0010",
    "0.01",
    "0.1",
    "0.50",
    "1",
    "10.2500",
    "98765432101.1234",
)
NO_DECIMALS = ("", "1.", "01", ".5", "-1", "+1", "1e3", " 1", "1.00001", "0.00001", "12345678901234567")
PAGES = (*API_PAGES, *HEALTH_PAGES)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(PAGES)


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    for inner in part if isinstance(part, list | tuple) else ():
        yield from references(inner)


async def test_the_document_is_served_and_valid(stage: Stage) -> None:
    response = await stage.client.get("/openapi.json")
    served_document = await response.json()
    assert response.status == 200
    OpenAPIV31SpecValidator(served_document).validate()


def test_every_method_of_every_route_is_in_the_document_and_nothing_else(described: dict[str, Any]) -> None:
    served_methods = {
        (path, method.lower()) for path, view in PAGES for method in view(None, None).get_methods() - {"HEAD"}
    }
    documented = {(path, method) for path, methods in described["paths"].items() for method in methods}
    assert documented == served_methods


async def test_every_documented_path_is_a_route(stage: Stage, described: dict[str, Any]) -> None:
    for path in described["paths"]:
        response = await stage.client.options(path.replace("{", "").replace("}", ""))
        assert response.status == 405, f"{path} is served"


@pytest.mark.parametrize(
    "text",
    [
        *DECIMALS,
        *NO_DECIMALS,
    ],
)
def test_an_amount_and_a_limit_are_valid_by_their_schemas_just_when_the_domain_takes_them(
    text: str, described: dict[str, Any]
) -> None:
    for word, read in (("Amount", parse_amount), ("Limit", partial(parse_limit, field=""))):
        try:
            read(text, "CLF")
            is_taken = True
        except Unreadable:
            is_taken = False
        schema = OAS31Validator(described["components"]["schemas"][word])
        assert schema.is_valid(text) is is_taken, word


def test_every_schema_is_there_and_used(described: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) == schemas


def test_an_operation_has_an_id_of_its_own_a_summary_and_its_problems(described: dict[str, Any]) -> None:
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        for status, response in operation["responses"].items():
            media = "application/problem+json" if int(status) >= 400 else None
            assert media in (None, *response["content"]), (operation["operationId"], status)


@pytest.mark.parametrize("kind", ["transfer", "deposit", "withdrawal", "refund", "theft"])
@pytest.mark.parametrize("field", [None, *IDS, *OPTIONAL, "both", "amount", "currency"])
def test_a_payment_is_valid_by_its_schema_just_when_the_domain_takes_it(
    kind: str, field: str | None, described: dict[str, Any]
) -> None:
    """Begin with all that the kind has to have, and put in or leave out one field."""
    data = {"kind": kind, "amount": "1.00", "currency": "EUR", "payment_id": PAYMENT}
    data |= {name: IDS[name] for name in WANTED.get(kind, ())}
    if field in data:
        del data[field]
    elif field == "both":
        data |= OPTIONAL
    elif field is not None:
        data[field] = (IDS | OPTIONAL)[field]
    try:
        read_request(data)
        is_taken = True
    except Unreadable:
        is_taken = False
    schema = OAS31Validator({**described, "$ref": "#/components/schemas/Payment"})
    assert schema.is_valid(data) is is_taken
