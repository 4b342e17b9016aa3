"""Invalid payments over HTTP: the problem names the field, and the API writes no record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from tests.unit.web_stage import OTHER_WALLET, PAYMENT, WALLET, Stage, deposit, served

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("payment_id", {"payment_id": "42"}),
        ("payment_id", {"payment_id": 42}),
        ("payment_id", {"payment_id": "urn:uuid:" + PAYMENT}),
        ("payment_id", {"payment_id": PAYMENT + "\n"}),
        ("kind", {"kind": "theft"}),
        ("kind", {"kind": ["deposit"]}),
        ("target_wallet_id", {"kind": "refund", "refund_of": PAYMENT}),
        ("refund_of", {"refund_of": PAYMENT}),
        ("hold_id", {"hold_id": PAYMENT}),
        ("kind", {"kind": None}),
        ("amount", {"amount": 10.25}),
        ("amount", {"amount": 10}),
        ("amount", {"amount": True}),
        ("amount", {"amount": "-1.00"}),
        ("amount", {"amount": "0"}),
        ("amount", {"amount": "0.00"}),
        ("amount", {"amount": "1.001"}),
        ("amount", {"amount": "1e3"}),
        ("amount", {"amount": " 1"}),
        ("amount", {"amount": "+1"}),
        ("amount", {"amount": "1,00"}),
        ("amount", {"amount": "١.00"}),
        ("amount", {"amount": ""}),
        ("amount", {"amount": "9" * 400}),
        ("amount", {"amount": "10000000000000.01"}),
        ("amount", {"amount": "10.5", "currency": "JPY"}),
        ("amount", {"amount": None}),
        ("currency", {"currency": "eur"}),
        ("currency", {"currency": "XXX"}),
        ("currency", {"currency": 978}),
        ("currency", {"currency": None}),
        ("target_wallet_id", {"target_wallet_id": "my wallet"}),
        ("target_wallet_id", {"target_wallet_id": None}),
        ("source_wallet_id", {"source_wallet_id": OTHER_WALLET}),
        ("provider", {"provider": ""}),
        ("provider", {"provider": {"name": "x"}}),
        ("user_id", {"user_id": "me"}),
        ("metadata", {"metadata": "text"}),
        ("metadata.note", {"metadata": {"note": "a\0b"}}),
        ("metadata", {"metadata": {"a\0": 1}}),
    ],
)
async def test_bad_content_is_named_and_nothing_is_written(
    field: str, change: dict[str, Any], stage: Stage
) -> None:
    response = await stage.client.post("/v1/payments", json=deposit(**change))
    problem = await response.json(content_type=None)
    assert (response.status, problem.get("field"), problem["reason"]) == (422, field, "invalid")
    assert stage.published == []
    assert not stage.claims.held


def nested(levels: int) -> bytes:
    return b'{"metadata": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"\xff\xfe"),
        (400, b'{"kind": "\xe9"}'),
        (400, b'{"kind": "\\ud800"}'),
        (400, b'{"kind": "dep\0osit"}'),
        (400, b"\xef\xbb\xbf{}"),
        (400, b"{"),
        (400, b'{"amount": NaN}'),
        (400, b'{"a": 1} {"b": 2}'),
        (400, b"[" * 100_000),
        (400, nested(20_000)),
        (422, nested(100)),
        (422, b'{"metadata": {"n": 1e400}}'),
        (422, b'{"n": ' + b"9" * 5000 + b"}"),
        (422, b"[]"),
        (422, b"null"),
        (422, b'"10.25"'),
        (422, b"{}"),
    ],
)
async def test_bad_bytes_are_refused(status: int, body: bytes, stage: Stage) -> None:
    response = await stage.client.post("/v1/payments", data=body, headers=JSON)
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert stage.published == []


@pytest.mark.parametrize("wait", ["-1", "31", "30.5", "ten", "1e1", "", "nan", "٣"])
async def test_wait_is_seconds_up_to_thirty(wait: str, stage: Stage) -> None:
    response = await stage.client.post("/v1/payments", params={"wait": wait}, json=deposit())
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, "wait")
    assert stage.published == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/ledger+json"])
async def test_json_is_read_by_content_type(kind: str, stage: Stage) -> None:
    body = (
        b'{"kind": "deposit", "target_wallet_id": "%s", "amount": "1", "currency": "EUR"}' % WALLET.encode()
    )
    response = await stage.client.post("/v1/payments", data=body, headers={"Content-Type": kind})
    assert response.status == 202
    assert UUID((await response.json())["payment_id"])
