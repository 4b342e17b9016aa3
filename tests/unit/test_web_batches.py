"""Batches over HTTP: each payment gets the response of a single request; a batch makes one query a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from io import BytesIO
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from prometheus_client import REGISTRY

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.wallet_events import BalanceAdded
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, WALLET, Stage, deposit, served

NS = uuid5(NAMESPACE_URL, "ledger-streams")
BATCH = "/v1/payments/batch"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


def numbered(number: int, **changes: object) -> dict[str, Any]:
    """A deposit with an id of its own."""
    return deposit(payment_id=f"cccccccc-0000-4000-8000-{number:012}", **changes)


async def results(
    stage: Stage, payments: Sequence[object], path: str = BATCH, headers: Mapping[str, str] | None = None
) -> list[tuple[int, dict[str, Any]]]:
    response = await stage.client.post(path, json={"payments": payments}, headers=headers)
    assert response.status == 200, await response.text()
    return [(result["status_code"], result["body"]) for result in (await response.json())["results"]]


async def test_each_payment_is_written_and_pending_in_the_order_of_the_batch(stage: Stage) -> None:
    payments = [numbered(number) for number in range(1000)]
    ids = [payment["payment_id"] for payment in payments]
    answers = await results(stage, payments)
    assert answers == [(202, {"payment_id": payment_id, "status": "pending"}) for payment_id in ids]
    assert [message.key for message in stage.publisher.published] == ids
    assert [envelope["data"] for envelope in stage.published] == payments
    assert stage.claims.held.keys() == set(ids)


async def test_a_payment_of_a_batch_is_the_record_that_it_would_be_alone(stage: Stage) -> None:
    await results(stage, [deposit(metadata={"colour": "blue"})])
    stage.claims.held.clear()
    await stage.client.post("/v1/payments", json=deposit(metadata={"colour": "blue"}))
    one, other = stage.publisher.published
    assert one == other


@pytest.mark.parametrize(
    ("bad", "status", "field"),
    [
        (deposit(amount=10.25), 422, "payments[1].amount"),
        (deposit(metadata={"note": "a\0b"}), 422, "payments[1].metadata.note"),
        (deposit(payment_id="42"), 422, "payments[1].payment_id"),
        ([], 422, "payments[1]"),
        (None, 422, "payments[1]"),
        (deposit(metadata={"note": "x" * 300_000}), 413, "payments[1]"),
    ],
)
async def test_a_bad_payment_is_named_and_does_not_affect_the_others(
    bad: object, status: int, field: str, stage: Stage
) -> None:
    (first, _), (answered, problem), (last, _) = await results(stage, [numbered(1), bad, numbered(2)])
    assert (first, answered, last) == (202, status, 202)
    assert (problem["status"], problem["field"]) == (status, field)
    assert [message.key for message in stage.publisher.published] == [
        numbered(number)["payment_id"] for number in (1, 2)
    ]


async def test_bad_payments_alone_write_nothing(stage: Stage) -> None:
    stage.away.update({"postgres", "kafka"})
    assert [status for status, _ in await results(stage, [{}, {}])] == [422, 422]


@pytest.mark.parametrize(
    ("status", "field", "body"),
    [
        (400, None, b""),
        (400, None, b'{"payments": [{"amount": NaN}]}'),
        (400, None, b'{"payments": [' + b"[" * 100_000),
        (413, None, b'{"payments": ["' + b"x" * 2_000_000 + b'"]}'),
        (422, None, b"[]"),
        (422, "payments", b"{}"),
        (422, "payments", b'{"payments": {}}'),
        (422, "payments", b'{"payments": []}'),
        (422, "payments", b'{"payments": [' + b"1," * 1000 + b"1]}"),
        (422, "wait", b'{"payments": [1], "wait": 5}'),
    ],
)
async def test_a_malformed_batch_is_rejected_as_a_whole(
    status: int, field: str | None, body: bytes, stage: Stage
) -> None:
    response = await stage.client.post(BATCH, data=BytesIO(body), headers=JSON)
    problem = await response.json(content_type=None)
    assert (response.status, problem["status"], problem.get("field")) == (status, status, field)


async def test_without_ids_they_are_derived_from_key_and_position(stage: Stage) -> None:
    headers = {"Idempotency-Key": "march"}
    ids = [str(uuid5(NS, f"anonymous:march:{place}")) for place in range(3)]
    payments = [deposit(payment_id=None), deposit(payment_id=ids[1].upper()), deposit(payment_id=None)]
    first = await results(stage, payments, headers=headers)
    assert [body["payment_id"] for _, body in first] == ids
    assert await results(stage, payments, headers=headers) == first
    assert len({envelope["event_id"] for envelope in stage.published}) == 3
    changed = [deposit(payment_id=None, amount="1"), *payments[1:]]
    assert [status for status, _ in await results(stage, changed, headers=headers)] == [409, 202, 202]


async def test_a_batchs_key_with_another_payment_id_is_refused_and_does_not_affect_the_others(
    stage: Stage,
) -> None:
    headers, payments = {"Idempotency-Key": "march"}, [numbered(7), deposit(payment_id=None)]
    (refused, problem), (taken, _) = await results(stage, payments, headers=headers)
    assert (refused, problem["field"], taken) == (422, "payments[0].payment_id", 202)
    assert [message.key for message in stage.publisher.published] == [str(uuid5(NS, "anonymous:march:1"))]


async def test_without_ids_and_key_each_id_is_new(stage: Stage) -> None:
    answers = await results(stage, [deposit(payment_id=None)] * 3)
    assert len({body["payment_id"] for _, body in answers}) == len(stage.published) == 3
    assert not stage.claims.held


async def test_one_id_with_one_content_is_one_payment_and_with_another_a_mismatch(stage: Stage) -> None:
    answers = await results(stage, [deposit(amount="10.5"), deposit(amount="10.50"), deposit(amount="9")])
    taken = (202, {"payment_id": PAYMENT, "status": "pending"})
    assert answers[:2] == [taken, taken]
    assert (answers[2][0], answers[2][1]["reason"]) == (409, "duplicate_mismatch")
    assert [envelope["data"]["amount"] for envelope in stage.published] == ["10.5"]


async def test_a_payment_from_before_the_batch_stays_the_first(stage: Stage) -> None:
    await stage.requested(numbered(1))
    await stage.ended(numbered(1)["payment_id"])
    await stage.client.post("/v1/payments", json=numbered(2))
    batch = [numbered(1, amount="9"), numbered(1), numbered(2, amount="9"), numbered(2)]
    answers = await results(stage, batch)
    assert [status for status, _ in answers] == [409, 202, 409, 202]
    assert [answers[1][1]["status"], answers[3][1]["status"]] == ["completed", "pending"]
    assert {message.key for message in stage.publisher.published} == {numbered(2)["payment_id"]}


async def test_batches_are_accepted_without_the_store_of_claims(stage: Stage) -> None:
    stage.away.add("redis")
    before = skipped()
    assert [status for status, _ in await results(stage, [numbered(1), numbered(2)])] == [202, 202]
    assert skipped() == before + 2


async def test_an_unavailable_kafka_fails_the_whole_batch(stage: Stage) -> None:
    stage.away.add("kafka")
    response = await stage.client.post(BATCH, json={"payments": [deposit()]})
    assert (response.status, response.content_type) == (503, "application/problem+json")


async def test_wait_answers_with_those_that_have_ended_and_the_cache_has_their_wallets(stage: Stage) -> None:
    for wallet_id in (WALLET, OTHER_WALLET):
        await stage.open(wallet_id)
        assert (await stage.client.get(f"/v1/wallets/{wallet_id}/balance")).status == 200
    payments = [numbered(1), numbered(2), numbered(3), numbered(4, target_wallet_id=OTHER_WALLET), {}]
    batch = asyncio.create_task(results(stage, payments, f"{BATCH}?wait=0.5"))
    for number, wallet_id, version in ((1, WALLET, 2), (2, WALLET, 3), (4, OTHER_WALLET, 2)):
        await completed(stage, payments[number - 1], wallet_id, version)
    answers = await batch
    assert [status for status, _ in answers] == [200, 200, 202, 200, 422]
    assert [body["status"] for _, body in answers[:4]] == ["completed", "completed", "pending", "completed"]
    assert answers[0][1]["amount"] == "10.25"
    versions = {wallet: (await stage.cache.get(wallet)).version for wallet in (WALLET, OTHER_WALLET)}  # type: ignore[union-attr]
    assert versions == {WALLET: 3, OTHER_WALLET: 2}


async def test_acknowledged_payments_are_pending_when_postgresql_goes_away(stage: Stage) -> None:
    async def lose_the_read_model(_: object) -> None:
        stage.away.add("postgres")

    stage.publisher.then = lose_the_read_model
    answers = await results(stage, [numbered(1), numbered(2)], f"{BATCH}?wait=0.05")
    assert [status for status, _ in answers] == [202, 202]


async def completed(stage: Stage, payment: Mapping[str, Any], wallet_id: str, version: int) -> None:
    payment_id = PaymentId(payment["payment_id"])
    await stage.requested(payment)
    added = BalanceAdded(WalletId(wallet_id), version, payment_id, 1025, "EUR", Counterparty.EXTERNAL)
    await stage.happened(added, causation_id=payment_id)
    await stage.ended(payment_id, wallets={wallet_id: version})


def skipped() -> float:
    return REGISTRY.get_sample_value("ledger_payment_claims_skipped_total") or 0.0
