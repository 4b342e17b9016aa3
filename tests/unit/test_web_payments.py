"""Payments over HTTP: written records, responses, and repeated requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from prometheus_client import REGISTRY

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.wallet_events import BalanceAdded
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, USER, WALLET, Stage, deposit, served

NS = uuid5(NAMESPACE_URL, "ledger-streams")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def test_a_payment_is_written_as_in_the_contract(stage: Stage) -> None:
    response = await stage.client.post("/v1/payments", json=deposit(metadata={"note": "é"}))
    assert response.status == 202
    assert await response.json() == {"payment_id": PAYMENT, "status": "pending"}
    assert response.headers["Location"] == f"/v1/payments/{PAYMENT}"
    (message,), (envelope,) = stage.publisher.published, stage.published
    assert (message.topic, message.key) == ("t-payment-events", PAYMENT)
    assert envelope == {
        "event_id": str(uuid5(NS, f"{PAYMENT}:PaymentRequested:1")),
        "event_type": "PaymentRequested",
        "schema_version": 1,
        "aggregate_id": PAYMENT,
        "event_version": 1,
        "occurred_at": "2026-11-24T22:00:00.000000Z",
        "correlation_id": PAYMENT,
        "causation_id": None,
        "data": deposit(metadata={"note": "é"}),
    }


async def test_ids_are_made_canonical(stage: Stage) -> None:
    body = deposit(
        payment_id=PAYMENT.upper(),
        kind="transfer",
        source_wallet_id=OTHER_WALLET.replace("-", ""),
        target_wallet_id=WALLET.upper(),
        user_id=USER.upper(),
    )
    response = await stage.client.post("/v1/payments", json=body)
    assert (await response.json())["payment_id"] == PAYMENT
    data = stage.published[0]["data"]
    ids = (data["payment_id"], data["source_wallet_id"], data["target_wallet_id"], data["user_id"])
    assert ids == (PAYMENT, OTHER_WALLET, WALLET, USER)


async def test_without_an_id_the_idempotency_key_gives_it(stage: Stage) -> None:
    headers = {"Idempotency-Key": "order 17"}
    for _ in range(2):
        response = await stage.client.post("/v1/payments", json=deposit(payment_id=None), headers=headers)
        assert (await response.json())["payment_id"] == str(uuid5(NS, "anonymous:order 17"))
    first, second = stage.published
    assert first["event_id"] == second["event_id"], "a repetition before the projection is the same event"
    other = deposit(payment_id=None, amount="10.26")
    response = await stage.client.post("/v1/payments", json=other, headers=headers)
    assert response.status == 409


async def test_a_key_with_another_payment_id_is_422_in_either_order(stage: Stage) -> None:
    derived = str(uuid5(NS, "anonymous:order 17"))
    headers, published = {"Idempotency-Key": "order 17"}, []
    for payment_id in (PAYMENT, None, PAYMENT, OTHER_WALLET, derived, derived.upper()):
        response = await stage.client.post(
            "/v1/payments", json=deposit(payment_id=payment_id), headers=headers
        )
        if payment_id in {PAYMENT, OTHER_WALLET}:
            problem = await response.json(content_type=None)
            assert (response.status, problem["field"], problem["reason"]) == (422, "payment_id", "invalid")
            assert derived in problem["detail"]
        else:
            assert (response.status, (await response.json())["payment_id"]) == (202, derived)
            published.append(derived)
    assert [message.key for message in stage.publisher.published] == published
    assert stage.claims.held.keys() == {derived}


async def test_one_key_of_a_payment_and_of_a_refund_is_not_two_payments(stage: Stage) -> None:
    headers = {"Idempotency-Key": "order 17"}
    await stage.requested(deposit())
    first = await stage.client.post("/v1/payments", json=deposit(payment_id=None), headers=headers)
    second = await stage.client.post(f"/v1/payments/{PAYMENT}/refund", headers=headers)
    assert (first.status, second.status, len(stage.published)) == (202, 409, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/payments", deposit(payment_id=None)),
        ("/v1/payments", deposit()),
        ("/v1/payments/batch", {"payments": [deposit()]}),
        (f"/v1/payments/{PAYMENT}/refund", {"amount": "1.00"}),
        ("/v1/wallets", {"user_id": USER, "currencies": ["EUR"]}),
        (f"/v1/wallets/{WALLET}/holds", {"amount": "1.00", "currency": "EUR"}),
    ],
)
async def test_two_idempotency_key_headers_are_400(path: str, body: dict[str, Any], stage: Stage) -> None:
    await stage.open()
    await stage.requested(deposit())
    before = len(stage.published)
    for keys in (("a", "b"), ("a", "a"), ("a", ""), ("", "")):
        response = await stage.client.post(
            path, json=body, headers=[("Idempotency-Key", key) for key in keys]
        )
        problem = await response.json(content_type=None)
        assert (response.status, problem["field"]) == (400, "Idempotency-Key")
    assert len(stage.published) == before


@pytest.mark.parametrize("key", ["", " ", "\t", "x" * 256, "a\tb", "clé", "ключ"])
async def test_a_key_that_is_empty_too_long_or_not_printable_is_422(key: str, stage: Stage) -> None:
    response = await stage.client.post("/v1/payments", json=deposit(), headers={"Idempotency-Key": key})
    assert (response.status, (await response.json(content_type=None))["field"]) == (422, "Idempotency-Key")
    assert stage.published == []


async def test_same_wallet_and_an_unknown_provider_are_422(stage: Stage) -> None:
    transfer = deposit(kind="transfer", source_wallet_id=WALLET.upper())
    withdrawal = deposit(kind="withdrawal", source_wallet_id=WALLET, target_wallet_id=None)
    cases = {
        "target_wallet_id": [transfer],
        "provider": [deposit(provider="bank"), deposit(provider="ACME"), withdrawal | {"provider": "acme "}],
    }
    for field, bodies in cases.items():
        for body in bodies:
            response = await stage.client.post("/v1/payments", json=body)
            problem = await response.json(content_type=None)
            assert (response.status, problem["field"]) == (422, field)
            assert problem["reason"] == ("same_wallet" if field == "target_wallet_id" else "invalid")
            if field == "provider":
                assert problem["detail"] == "must be one of acme, psp"
    assert stage.published == []
    assert (await stage.client.post("/v1/payments", json=deposit(provider="acme"))).status == 202


async def test_without_id_and_key_the_id_is_new(stage: Stage) -> None:
    ids = set()
    for _ in range(2):
        response = await stage.client.post("/v1/payments", json=deposit(payment_id=None))
        ids.add((await response.json())["payment_id"])
    assert len(ids) == len(stage.published) == 2
    assert not stage.claims.held, "a random id needs no claim"


async def test_a_known_payment_with_the_same_content_is_not_written_again(stage: Stage) -> None:
    await stage.requested(deposit(amount="10.50"))
    again = deposit(amount="10.5", metadata={})
    response = await stage.client.post("/v1/payments", json=again)
    assert (response.status, await response.json()) == (202, {"payment_id": PAYMENT, "status": "pending"})
    await stage.ended(PAYMENT)
    response = await stage.client.post("/v1/payments", json=again)
    assert (response.status, await response.json()) == (202, {"payment_id": PAYMENT, "status": "completed"})
    response = await stage.client.post("/v1/payments?wait=5", json=again)
    assert (response.status, (await response.json())["status"]) == (200, "completed")
    assert stage.published == []


async def test_a_known_payment_with_other_content_is_a_mismatch(stage: Stage) -> None:
    await stage.requested(deposit())
    response = await stage.client.post("/v1/payments", json=deposit(amount="10.26"))
    problem = await response.json(content_type=None)
    assert (response.status, problem["reason"]) == (409, "duplicate_mismatch")
    assert stage.published == []


async def test_a_claim_reveals_a_mismatch_before_the_first_payment_is_projected(stage: Stage) -> None:
    assert (await stage.client.post("/v1/payments", json=deposit())).status == 202
    response = await stage.client.post("/v1/payments", json=deposit(amount="10.26"))
    assert response.status == 409
    assert len(stage.published) == 1


async def test_payments_are_accepted_without_the_store_of_claims(stage: Stage) -> None:
    stage.away.add("redis")
    before = skipped()
    assert (await stage.client.post("/v1/payments", json=deposit())).status == 202
    assert skipped() == before + 1


async def test_wait_answers_with_the_payment_when_it_has_ended(stage: Stage) -> None:
    await stage.open()
    waiting = asyncio.create_task(stage.client.post("/v1/payments?wait=20", json=deposit()))
    await stage.requested(deposit())
    added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 1025, "EUR", Counterparty.EXTERNAL)
    await stage.happened(added, causation_id=PAYMENT)
    await stage.ended(PAYMENT, wallets={WALLET: 2})
    response = await waiting
    assert response.status == 200
    assert await response.json() == {
        "payment_id": PAYMENT,
        "kind": "deposit",
        "status": "completed",
        "reason": None,
        "amount": "10.25",
        "currency": "EUR",
        "source_wallet_id": None,
        "target_wallet_id": WALLET,
        "detail": None,
        "refunded": "0.00",
        "refund_of": None,
        "hold_id": None,
        "provider": None,
        "user_id": None,
        "metadata": None,
        "requested_at": "2026-11-24T22:00:00.000000Z",
        "ended_at": "2026-11-24T22:00:00.000000Z",
        "steps": [
            {"event_type": event, "occurred_at": "2026-11-24T22:00:00.000000Z"}
            for event in ("PaymentRequested", "SagaCompleted")
        ],
        "waiting_for": None,
        "archived_month": None,
    }


async def test_a_balance_read_after_wait_sees_the_payment_though_the_cache_was_older(stage: Stage) -> None:
    await stage.open()
    assert (await balance(stage))["version"] == 1
    waiting = asyncio.create_task(stage.client.post("/v1/payments?wait=20", json=deposit()))
    await stage.requested(deposit())
    added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 1025, "EUR", Counterparty.EXTERNAL)
    await stage.happened(added, causation_id=PAYMENT)
    await stage.ended(PAYMENT, wallets={WALLET: 2})
    assert (await waiting).status == 200
    seen = await balance(stage)
    assert (seen["version"], seen["balances"][0]["balance"]) == (2, "10.25")


async def test_wait_answers_200_for_a_failed_payment_too(stage: Stage) -> None:
    waiting = asyncio.create_task(stage.client.post("/v1/payments?wait=20", json=deposit()))
    await stage.requested(deposit())
    await stage.ended(PAYMENT, reason="wallet_not_found")
    response = await waiting
    body = await response.json()
    assert (response.status, body["status"], body["reason"]) == (200, "failed", "wallet_not_found")


async def test_wait_ends_with_202_when_the_payment_does_not_end_in_time(stage: Stage) -> None:
    response = await stage.client.post("/v1/payments?wait=0.01", json=deposit())
    assert (response.status, await response.json()) == (202, {"payment_id": PAYMENT, "status": "pending"})


async def test_wait_answers_409_when_other_content_under_the_id_came_first(stage: Stage) -> None:
    stage.away.add("redis")
    waiting = asyncio.create_task(stage.client.post("/v1/payments?wait=20", json=deposit()))
    while not stage.published:  # noqa: ASYNC110 - the other content has to come after this one is written
        await asyncio.sleep(0)
    await stage.requested(deposit(amount="99.00"))
    await stage.ended(PAYMENT)
    assert (await waiting).status == 409


async def test_an_acknowledged_payment_is_no_error_when_postgresql_goes_away(stage: Stage) -> None:
    async def lose_the_read_model(_: object) -> None:
        stage.away.add("postgres")

    stage.publisher.then = lose_the_read_model
    response = await stage.client.post("/v1/payments?wait=0.05", json=deposit())
    assert response.status == 202


async def test_with_wait_an_unresponsive_kafka_is_a_503_in_time_that_explains_how_to_send_again(
    stage: Stage,
) -> None:
    stage.away.add("kafka's answers")
    began_s = time.monotonic()
    response = await stage.client.post("/v1/payments?wait=2.5", json=deposit())
    took_s, problem = time.monotonic() - began_s, await response.json(content_type=None)
    assert (response.status, response.headers["Retry-After"]) == (503, "2")
    assert f"may have been accepted. Sending again with payment_id {PAYMENT}" in problem["detail"]
    assert 2.4 < took_s < 3.5


async def test_a_balance_is_not_read_from_a_cache_restarted_with_older_data(stage: Stage) -> None:
    await stage.open()
    assert (await balance(stage))["version"] == 1
    stage.cache.begin_epoch()
    response = await stage.client.get(f"/v1/wallets/{WALLET}/balance")
    assert response.headers["X-Cache"] == "miss"
    assert (await balance(stage))["version"] == 1


async def test_wait_answers_while_the_cache_is_unavailable(stage: Stage) -> None:
    stage.away.add("redis")
    await stage.requested(deposit())
    await stage.ended(PAYMENT)
    assert (await stage.client.post("/v1/payments?wait=20", json=deposit())).status == 200


async def test_a_payment_is_shown(stage: Stage) -> None:
    await stage.requested(deposit())
    response = await stage.client.get(f"/v1/payments/{PAYMENT.upper()}")
    body = await response.json()
    assert (response.status, body["payment_id"], body["status"]) == (200, PAYMENT, "pending")
    assert "fingerprint" not in body


async def balance(stage: Stage) -> dict[str, Any]:
    response = await stage.client.get(f"/v1/wallets/{WALLET}/balance")
    assert response.headers["X-Cache"] == "hit"
    body: dict[str, Any] = await response.json()
    return body


def skipped() -> float:
    return REGISTRY.get_sample_value("ledger_payment_claims_skipped_total") or 0.0
