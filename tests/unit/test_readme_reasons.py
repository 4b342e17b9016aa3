"""The tables of statuses and reasons in docs/reference/reasons.md, and the enums in the OpenAPI document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.statuses import PaymentStatus
from ledger_streams.domain.wallet import WalletStatus
from web.http.openapi import document
from web.http.problems import STATUS_OF_REASON
from web.routes import API_PAGES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "reasons.md"
_row = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)


def table(head: str) -> dict[str, list[str]]:
    """Return the rows of the table with this head: name, and the cells after it."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(head)
    rows, _, _ = after.partition("\n\n")
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in _row.findall(rows)}


def test_each_status_is_in_the_reference_with_what_it_means_and_what_the_caller_can_do() -> None:
    rows = table("| status of a payment |")
    assert [*rows] == [*PaymentStatus]
    assert all(len(cells) == 2 and all(cells) for cells in rows.values())


def test_each_reason_is_in_the_reference_with_its_http_status() -> None:
    rows = table("| reason | HTTP |")
    assert {*rows} == {*Reason}
    assert {name: int(cells[0]) for name, cells in rows.items()} == STATUS_OF_REASON
    assert all(len(cells) == 3 and all(cells) for cells in rows.values())


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
