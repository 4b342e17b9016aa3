"""Problems: every kind of invalid request, and its problem word for word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.reasons import Reason
from ledger_streams.domain.wallet_events import BalanceAdded
from ledger_streams.errors import InvariantBroken
from ledger_streams.ports import Message
from tests.unit.web_stage import PAYMENT, USER, WALLET, Stage, check_golden, deposit, served
from web.http.problems import STATUS_OF_REASON

JSON = {"Content-Type": "application/json"}
OPENING = {"wallet_id": WALLET, "user_id": USER, "currencies": ["EUR"]}
UNKNOWN = "dddddddd-0000-4000-8000-000000000009"


@dataclass(frozen=True)
class Wrong:
    """A request on a stage where WALLET is open with 5.00 EUR in it, and what it is answered."""

    name: str
    status: int
    method: str
    path: str
    json: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    away: str = ""


CASES = [
    Wrong("not_json", 400, "POST", "/v1/payments", body=b"{'amount': 1}", headers=JSON),
    Wrong("no_body", 400, "POST", "/v1/payments", headers=JSON),
    Wrong(
        "bad_encoding",
        400,
        "POST",
        "/v1/payments",
        body=b"no gzip",
        headers=JSON | {"Content-Encoding": "gzip"},
    ),
    Wrong(
        "unknown_encoding",
        415,
        "POST",
        "/v1/payments",
        json=deposit(),
        headers={"Content-Encoding": "br"},
    ),
    Wrong(
        "key_of_another_payment",
        422,
        "POST",
        "/v1/payments",
        json=deposit(),
        headers={"Idempotency-Key": "order 17"},
    ),
    Wrong(
        "same_wallet",
        422,
        "POST",
        "/v1/payments",
        json=deposit(kind="transfer", source_wallet_id=WALLET),
    ),
    Wrong("unknown_provider", 422, "POST", "/v1/payments", json=deposit(provider="bank")),
    Wrong("unknown_path", 404, "GET", "/v2/payments"),
    Wrong("trailing_slash", 404, "GET", f"/v1/wallets/{WALLET}/"),
    Wrong("unknown_wallet", 404, "GET", f"/v1/wallets/{UNKNOWN}"),
    Wrong("wallet_id_that_is_none", 404, "GET", "/v1/wallets/42"),
    Wrong("unknown_user", 404, "GET", f"/v1/users/{UNKNOWN}/wallets"),
    Wrong("unknown_payment", 404, "GET", f"/v1/payments/{PAYMENT}"),
    Wrong("balance_of_unknown_wallet", 404, "GET", f"/v1/wallets/{UNKNOWN}/balance"),
    Wrong("events_of_unknown_wallet", 404, "GET", f"/v1/wallets/{UNKNOWN}/events"),
    Wrong("freeze_unknown_wallet", 404, "POST", f"/v1/wallets/{UNKNOWN}/freeze", json={"reason": "x"}),
    Wrong("currency_not_held", 404, "GET", f"/v1/wallets/{WALLET}/balance?currency=JPY"),
    Wrong("before_it_was_open", 404, "GET", f"/v1/wallets/{WALLET}/balance?at=2020-01-01T00:00:00Z"),
    Wrong("method_not_allowed", 405, "DELETE", f"/v1/wallets/{WALLET}"),
    Wrong(
        "wallet_open_with_other_content",
        409,
        "POST",
        "/v1/wallets",
        json=OPENING | {"currencies": ["EUR", "JPY"]},
    ),
    Wrong("close_not_empty", 409, "POST", f"/v1/wallets/{WALLET}/close", json={"reason": "moved away"}),
    Wrong(
        "limits_of_other_currency",
        409,
        "PUT",
        f"/v1/wallets/{WALLET}/limits",
        json={"overdraft_limits": {"JPY": "1"}},
    ),
    Wrong("too_large", 413, "POST", "/v1/wallets", body=b" " * 10_000_000, headers=JSON),
    Wrong("payment_too_large", 413, "POST", "/v1/payments", json=deposit(metadata={"a": "x" * 300_000})),
    Wrong(
        "not_json_by_its_type",
        415,
        "POST",
        "/v1/payments",
        body=b"kind=deposit",
        headers={"Content-Type": "text/plain"},
    ),
    Wrong("amount_is_a_number", 422, "POST", "/v1/payments", json=deposit(amount=10.25)),
    Wrong(
        "idempotency_key_out_of_bounds",
        422,
        "POST",
        "/v1/payments",
        json=deposit(),
        headers={"Idempotency-Key": "x" * 300},
    ),
    Wrong("unknown_parameter", 422, "GET", f"/v1/wallets/{WALLET}/balance?att=2020-01-01T00:00:00Z"),
    Wrong("at_is_no_time", 422, "GET", f"/v1/wallets/{WALLET}/balance?at=yesterday"),
    Wrong("wait_too_long", 422, "POST", "/v1/payments?wait=31", json=deposit()),
    Wrong("unknown_field", 422, "POST", "/v1/wallets", json=OPENING | {"overdraft_limit": {}}),
    Wrong("internal_error", 500, "POST", f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"}, away="sanity"),
    Wrong("starting", 503, "GET", f"/v1/wallets/{WALLET}", away="worker"),
    Wrong("kafka_away", 503, "POST", "/v1/payments", json=deposit(), away="kafka"),
    Wrong("postgres_away", 503, "GET", f"/v1/wallets/{WALLET}", away="postgres"),
    Wrong("not_ready", 503, "GET", "/health/ready", away="tables"),
]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        await stage.open()
        added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 500, "EUR", Counterparty.EXTERNAL)
        await stage.happened(added, causation_id=PAYMENT)
        yield stage


@pytest.mark.parametrize("wrong", CASES, ids=lambda wrong: wrong.name)
async def test_an_invalid_request_is_answered_with_its_problem(wrong: Wrong, stage: Stage) -> None:
    take_away(stage, wrong.away)
    before = len(stage.published)
    body = None if wrong.body is None else BytesIO(wrong.body)
    sent = {"json": wrong.json} if wrong.json is not None else {"data": body}
    response = await stage.client.request(wrong.method, wrong.path, headers=wrong.headers, **sent)
    problem = await response.json(content_type=None)
    assert response.status == problem["status"] == wrong.status
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert ("Retry-After" in response.headers) == (wrong.status == 503)
    assert ("Allow" in response.headers) == (wrong.status == 405)
    assert len(stage.published) == before or wrong.status in {409, 500}
    check_golden(wrong.name, problem)


def take_away(stage: Stage, what: str) -> None:
    async def break_(_: Message) -> None:
        raise InvariantBroken("secret: the password is 1234")

    if what == "sanity":
        stage.publisher.then = break_
    elif what == "tables":
        stage.readiness["tables"] = "secret: 10.0.0.7"
    elif what:
        stage.away.add(what)


def test_every_reason_has_a_status() -> None:
    assert set(STATUS_OF_REASON) == set(Reason)


async def test_the_allow_header_lists_the_methods_of_the_path(stage: Stage) -> None:
    response = await stage.client.delete("/v1/payments")
    assert response.headers["Allow"] == "GET, HEAD, POST"
    response = await stage.client.head("/v1/payments/batch")
    assert response.status == 405


async def test_an_internal_error_is_logged_and_hidden_from_the_caller(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    take_away(stage, "sanity")
    response = await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"})
    assert "1234" not in await response.text()
    assert "1234" in caplog.text
