"""GET /v1/payments: pages, filters and invalid parameters."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.web_stage import NOW, OTHER_WALLET, PAYMENT, USER, WALLET, Stage, deposit, served

PATH = "/v1/payments"
REQUESTED = [f"cccccccc-0000-4000-8000-{number:012}" for number in range(100, 107)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Seven deposits, all but the last two a second apart; the odd ones are USER's, to OTHER_WALLET."""
    async with served(Stage()) as stage:
        for number, payment_id in enumerate(REQUESTED):
            odd = {"user_id": USER, "target_wallet_id": OTHER_WALLET} if number % 2 else {}
            await stage.requested(
                deposit(payment_id=payment_id, **odd), at=NOW + timedelta(seconds=min(number, 5))
            )
        await stage.ended(REQUESTED[0])
        await stage.ended(REQUESTED[1], reason="wallet_frozen")
        yield stage


async def page(stage: Stage, **parameters: str) -> dict[str, Any]:
    response = await stage.client.get(PATH, params=parameters)
    assert response.status == 200, await response.text()
    document: dict[str, Any] = await response.json()
    return document


async def numbers(stage: Stage, **parameters: str) -> list[int]:
    return [REQUESTED.index(each["payment_id"]) for each in (await page(stage, **parameters))["payments"]]


async def test_payments_are_listed_by_wallet_user_status_and_time_the_newest_first(stage: Stage) -> None:
    assert await numbers(stage) == [6, 5, 4, 3, 2, 1, 0]
    assert await numbers(stage, wallet_id=WALLET.upper()) == [6, 4, 2, 0]
    assert await numbers(stage, user_id=USER.upper()) == [5, 3, 1]
    assert await numbers(stage, status="failed") == [1]
    assert await numbers(stage, status="pending", wallet_id=OTHER_WALLET) == [5, 3]
    times = {"from": "2026-11-24T22:00:02Z", "to": "2026-11-24T23:00:05+01:00"}
    assert await numbers(stage, **times) == [4, 3, 2]
    assert await numbers(stage, user_id=WALLET) == []


@pytest.mark.parametrize("limit", range(1, 9))
async def test_pages_have_each_payment_once(limit: int, stage: Stage) -> None:
    seen, parameters = [], {"limit": str(limit)}
    while True:
        read = await page(stage, **parameters)
        assert len(read["payments"]) <= limit
        seen += [REQUESTED.index(each["payment_id"]) for each in read["payments"]]
        if read["next"] is None:
            break
        assert len(read["payments"]) == limit
        parameters["after"] = read["next"]
    assert seen == [6, 5, 4, 3, 2, 1, 0]


async def test_a_listed_payment_equals_the_single_one_without_its_steps(stage: Stage) -> None:
    metadata = {"order": 17, "n": 1234567890.12345}
    await stage.requested(deposit(provider="acme", user_id=USER, metadata=metadata))
    await stage.ended(PAYMENT, reason="provider_declined", detail="card expired")
    alone = await (await stage.client.get(f"{PATH}/{PAYMENT}")).json()
    (listed,) = [each for each in (await page(stage))["payments"] if each["payment_id"] == PAYMENT]
    assert {**listed, "steps": alone["steps"], "waiting_for": None} == alone
    said = ("provider", "user_id", "metadata", "reason", "detail", "requested_at", "ended_at")
    at = "2026-11-24T22:00:00.000000Z"
    assert [alone[field] for field in said] == [
        "acme",
        USER,
        metadata,
        "provider_declined",
        "card expired",
        at,
        at,
    ]


async def test_a_refund_shows_the_refunded_payment_and_a_failed_one_the_reason(stage: Stage) -> None:
    refund = deposit(kind="refund", refund_of=REQUESTED[0], target_wallet_id=None)
    await stage.requested(refund)
    await stage.ended(PAYMENT, reason="limit_exceeded", detail="data.amount: 0.00 EUR are left")
    shown = await (await stage.client.get(f"{PATH}/{PAYMENT}")).json()
    assert (shown["kind"], shown["refund_of"]) == ("refund", REQUESTED[0])
    assert (shown["reason"], shown["detail"]) == ("limit_exceeded", "data.amount: 0.00 EUR are left")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wallet_id", ""),
        ("wallet_id", "42"),
        ("user_id", "me"),
        ("status", ""),
        ("status", "COMPLETED"),
        ("status", "done"),
        ("from", "yesterday"),
        ("from", "2026-11-24"),
        ("to", "2026-11-24T22:00:00"),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "1001"),
        ("limit", "1e2"),
        ("limit", ""),
        ("after", ""),
        ("after", "x"),
        ("after", "!" * 32),
        ("after", "é" * 32),
        ("after", PAYMENT),
        ("after", urlsafe_b64encode(b"\x7f" * 24).decode()),
        ("after", urlsafe_b64encode(b"\x80" + b"\0" * 23).decode()),
        ("after", urlsafe_b64encode(b"x" * 25).decode()),
        ("page", "2"),
        ("offset", "0"),
        ("Status", "failed"),
    ],
)
async def test_a_bad_parameter_is_422_and_named(field: str, value: str, stage: Stage) -> None:
    response = await stage.client.get(PATH, params={field: value})
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"], problem["reason"]) == (422, field, "invalid")


async def test_a_repeated_parameter_and_a_reversed_period_are_422(stage: Stage) -> None:
    for query, field in (
        ("status=failed&status=failed", "status"),
        ("from=2026-11-25T00:00:00Z&to=2026-11-24T00:00:00Z", "to"),
        ("from=2026-11-25T00:00:00Z&to=2026-11-25T00:00:00Z", "to"),
    ):
        response = await stage.client.get(f"{PATH}?{query}")
        assert (response.status, (await response.json(content_type=None))["field"]) == (422, field)
