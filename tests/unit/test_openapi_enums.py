"""Statuses, reasons and kinds as enums in the OpenAPI document, and the list of payments."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.domain.wallet import WalletStatus
from web.http.openapi import document
from web.routes import API_PAGES


@pytest.mark.parametrize(
    ("word", "values", "fields"),
    [
        (
            "PaymentStatus",
            PaymentStatus,
            ["PaymentResponse.status", "PaymentSummary.status", "Pending.status"],
        ),
        ("Reason", Reason, ["PaymentResponse.reason", "PaymentSummary.reason", "Problem.reason"]),
        ("PaymentKind", PaymentKind, ["PaymentResponse.kind", "PaymentSummary.kind", "MovementView.kind"]),
        ("WalletStatus", WalletStatus, ["WalletView.status"]),
    ],
)
def test_statuses_reasons_and_kinds_are_enums_in_openapi(word: str, values: Any, fields: list[str]) -> None:
    described = document(API_PAGES)
    schemas, reference = described["components"]["schemas"], {"$ref": f"#/components/schemas/{word}"}
    assert schemas[word]["enum"] == [*values]
    for field in fields:
        struct, _, name = field.partition(".")
        schema = schemas[struct]["properties"][name]
        assert reference in (schema, *schema.get("anyOf", ())), field


def test_the_list_of_payments_is_described_with_its_parameters() -> None:
    operation = document(API_PAGES)["paths"]["/v1/payments"]["get"]
    names = [parameter["name"] for parameter in operation["parameters"]]
    assert names == ["wallet_id", "user_id", "status", "from", "to", "after", "limit"]
    (status,) = [each["schema"] for each in operation["parameters"] if each["name"] == "status"]
    assert status == {"$ref": "#/components/schemas/PaymentStatus"}
    assert operation["responses"].keys() == {"200", "422", "503"}
