"""Refunds over HTTP: written records, responses, and the response of the refunded payment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams.adapters.postgres.rows import RefundRow, SinkBatch
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, Stage, deposit, served

NS = uuid5(NAMESPACE_URL, "ledger-streams")
PATH = f"/v1/payments/{PAYMENT}/refund"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        await stage.requested(deposit())
        await stage.ended(PAYMENT)
        yield stage


async def test_a_refund_of_a_part_is_a_payment_in_the_refunded_ones_currency(stage: Stage) -> None:
    response = await stage.client.post(PATH, json={"amount": "4.25"})
    answer = await response.json()
    assert (response.status, answer["status"]) == (202, "pending")
    assert response.headers["Location"] == f"/v1/payments/{answer['payment_id']}"
    (envelope,) = stage.published
    assert (envelope["event_type"], envelope["aggregate_id"]) == ("PaymentRequested", answer["payment_id"])
    assert envelope["data"] == {
        "payment_id": answer["payment_id"],
        "kind": "refund",
        "refund_of": PAYMENT,
        "amount": "4.25",
        "currency": "EUR",
    }


@pytest.mark.parametrize("body", [None, {}, {"amount": None}])
async def test_a_refund_without_an_amount_is_of_all_that_is_left(body: Any, stage: Stage) -> None:
    response = await stage.client.post(PATH, **({} if body is None else {"json": body}))
    assert response.status == 202, await response.text()
    data = stage.published[0]["data"]
    assert data.keys() - {"amount"} == {"payment_id", "kind", "refund_of"}
    assert data.get("amount") is None


async def test_the_idempotency_key_gives_the_refund_its_id(stage: Stage) -> None:
    headers = {"Idempotency-Key": "return 17"}
    for _ in range(2):
        response = await stage.client.post(PATH, json={"amount": "1"}, headers=headers)
        assert (await response.json())["payment_id"] == str(uuid5(NS, "anonymous:return 17"))
    other = await stage.client.post(PATH, json={"amount": "2"}, headers=headers)
    problem = await other.json(content_type=None)
    assert (other.status, problem["reason"]) == (409, "duplicate_mismatch")


async def test_a_key_with_another_payment_id_is_422_in_a_refund_too(stage: Stage) -> None:
    headers, derived = {"Idempotency-Key": "return 17"}, str(uuid5(NS, "anonymous:return 17"))
    for payment_id, status in ((OTHER_WALLET, 422), (derived, 202), (OTHER_WALLET, 422)):
        response = await stage.client.post(PATH, json={"payment_id": payment_id}, headers=headers)
        assert response.status == status
    assert [message.key for message in stage.publisher.published] == [derived]


async def test_without_a_key_every_refund_is_a_new_one(stage: Stage) -> None:
    ids = {(await (await stage.client.post(PATH)).json())["payment_id"] for _ in range(2)}
    assert len(ids) == len(stage.published) == 2


async def test_an_unknown_payment_cannot_be_refunded(stage: Stage) -> None:
    for unknown in (OTHER_WALLET, "nothing"):
        response = await stage.client.post(f"/v1/payments/{unknown}/refund", json={"amount": "1"})
        assert response.status == 404
    assert stage.published == []


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("amount", {"amount": "0"}),
        ("amount", {"amount": "-1"}),
        ("amount", {"amount": "1.001"}),
        ("amount", {"amount": 1}),
        ("currency", {"amount": "1", "currency": "EURO"}),
        ("payment_id", {"payment_id": "x"}),
        ("kind", {"kind": "deposit"}),
        ("amuont", {"amuont": "1"}),
    ],
)
async def test_bad_content_is_named_and_nothing_is_written(
    field: str, body: dict[str, Any], stage: Stage
) -> None:
    response = await stage.client.post(PATH, json=body)
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"], problem["reason"]) == (422, field, "invalid")
    assert stage.published == []


async def test_a_refund_of_a_payment_without_a_currency_must_omit_the_amount(stage: Stage) -> None:
    await stage.ended(OTHER_WALLET, reason="invalid")
    path = f"/v1/payments/{OTHER_WALLET}/refund"
    response = await stage.client.post(path, json={"amount": "1"})
    assert (response.status, (await response.json(content_type=None))["field"]) == (422, "amount")
    assert (await stage.client.post(path)).status == 202


async def test_wait_answers_with_the_refund_when_it_has_ended(stage: Stage) -> None:
    refund = {"payment_id": OTHER_WALLET, "amount": "1.00"}
    await stage.requested(refund | {"kind": "refund", "refund_of": PAYMENT, "currency": "EUR"})
    await stage.ended(OTHER_WALLET, reason="limit_exceeded")
    response = await stage.client.post(f"{PATH}?wait=5", json=refund)
    body = await response.json()
    assert (response.status, body["kind"], body["reason"]) == (200, "refund", "limit_exceeded")


@pytest.mark.parametrize(
    ("status", "refunded"), [("partially_refunded", "4.25"), ("refunded", "10.25"), ("completed", None)]
)
async def test_the_refunded_payment_shows_the_refunded_amount(
    status: str, refunded: str | None, stage: Stage
) -> None:
    if refunded is not None:
        await stage.read_model.write(SinkBatch({}, refunds=[RefundRow(PAYMENT, status, refunded)]))
    body = await (await stage.client.get(f"/v1/payments/{PAYMENT}")).json()
    assert (body["status"], body["refunded"]) == (status, refunded or "0.00")
