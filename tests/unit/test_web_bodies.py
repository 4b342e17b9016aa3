"""Bodies over HTTP: a repeated key, an unknown field and a time with too many digits are rejected by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.unit.web_stage import OTHER_WALLET, PAYMENT, USER, WALLET, Stage, deposit, served

JSON = {"Content-Type": "application/json"}
HOLDS, REFUND = f"/v1/wallets/{WALLET}/holds", f"/v1/payments/{PAYMENT}/refund"
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/payments"): deposit(metadata={"note": 1}),
    ("POST", "/v1/wallets"): {"user_id": USER, "currencies": ["EUR"], "overdraft_limits": {"EUR": "1.00"}},
    ("POST", f"/v1/wallets/{WALLET}/freeze"): {"reason": "asked for"},
    ("POST", f"/v1/wallets/{WALLET}/unfreeze"): {"reason": "asked for"},
    ("POST", f"/v1/wallets/{WALLET}/close"): {"reason": "asked for"},
    ("PUT", f"/v1/wallets/{WALLET}/limits"): {"overdraft_limits": {"EUR": "1.00"}},
    ("POST", HOLDS): {"amount": "1.00", "currency": "EUR", "expires_in_s": 60},
    ("POST", f"{HOLDS}/{PAYMENT}/release"): {"reason": "asked for"},
    ("POST", REFUND): {"amount": "1.00", "currency": "EUR", "metadata": {"note": 1}},
}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def sent(stage: Stage, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    response = await stage.client.request(method, path, data=body, headers=JSON)
    return response.status, await response.json(content_type=None)


@pytest.mark.parametrize("again", [b'"%s":0,', b'"%s" :0 , ', b'"\\u%04x%s":0,'])
@pytest.mark.parametrize("method_path", BODIES, ids="{0[0]} {0[1]}".format)
async def test_a_repeated_key_makes_any_body_a_400(
    method_path: tuple[str, str], again: bytes, stage: Stage
) -> None:
    content = BODIES[method_path]
    name = next(iter(content)).encode()
    first = again % ((name[0], name[1:]) if b"04x" in again else name)
    status, problem = await sent(stage, *method_path, b"{" + first + msgspec.json.encode(content)[1:])
    assert (status, problem["title"]) == (400, "Not JSON")
    assert f"repeats the key {name.decode()} in one object" in problem["detail"]
    assert stage.published == []


async def test_the_second_amount_of_a_payment_is_not_booked(stage: Stage) -> None:
    body = msgspec.json.encode(deposit()).replace(b'"amount":"10.25"', b'"amount":"1","amount":"250"')
    assert (await sent(stage, "POST", "/v1/payments", body))[0] == 400
    deep = msgspec.json.encode(deposit(metadata={"a": [{"b": 1}]})).replace(b'"b":1', b'"b":1,"b":1')
    assert (await sent(stage, "POST", "/v1/payments", deep))[0] == 400
    assert stage.published == []


async def test_a_key_twice_in_one_payment_of_a_batch_is_that_payment_s_result(stage: Stage) -> None:
    good = msgspec.json.encode(deposit(metadata={"a:b": "c:d"}))
    bad = msgspec.json.encode(deposit(payment_id=OTHER_WALLET)).replace(b'"kind"', b'"kind":"refund","kind"')
    status, answer = await sent(stage, "POST", "/v1/payments/batch", b'{"payments":[%s,%s]}' % (bad, good))
    assert (status, [result["status_code"] for result in answer["results"]]) == (200, [400, 202])
    assert [envelope["aggregate_id"] for envelope in stage.published] == [PAYMENT]


@pytest.mark.parametrize("name", [b'"payments"', b'"p\\u0061yments" '])
async def test_two_lists_of_payments_are_no_batch(name: bytes, stage: Stage) -> None:
    payment = msgspec.json.encode(deposit())
    body = b'{"payments":[%s],%s:[%s]}' % (payment, name, payment)
    status, problem = await sent(stage, "POST", "/v1/payments/batch", body)
    assert (status, problem["detail"]) == (400, "The body repeats the key payments in one object.")
    assert stage.published == []


@pytest.mark.parametrize("lists", [(b"null", b"[%s]"), (b"[%s]", b"[]"), (b"[]", b"[%s]"), (b"[%s]", b"1")])
async def test_a_batch_with_two_lists_of_payments_is_400_also_if_one_has_the_wrong_shape(
    lists: tuple[bytes, bytes], stage: Stage
) -> None:
    payment = msgspec.json.encode(deposit())
    first, second = (text.replace(b"%s", payment) for text in lists)
    body = b'{"payments":%s,"payments":%s}' % (first, second)
    status, problem = await sent(stage, "POST", "/v1/payments/batch", body)
    assert (status, problem["detail"]) == (400, "The body repeats the key payments in one object.")
    assert stage.published == []


@pytest.mark.parametrize("method_path", BODIES, ids="{0[0]} {0[1]}".format)
@pytest.mark.parametrize("name", ["holdId", "colour", "Amount"])
async def test_an_unknown_field_of_any_body_is_422_and_named(
    method_path: tuple[str, str], name: str, stage: Stage
) -> None:
    body = msgspec.json.encode(BODIES[method_path] | {name: None})
    status, problem = await sent(stage, *method_path, body)
    assert (status, problem["field"], problem["reason"]) == (422, name, "invalid")
    assert stage.published == []


async def test_a_misspelt_hold_takes_no_free_money(stage: Stage) -> None:
    withdrawal = deposit(
        kind="withdrawal", target_wallet_id=None, source_wallet_id=WALLET, holdId=OTHER_WALLET
    )
    status, problem = await sent(stage, "POST", "/v1/payments", msgspec.json.encode(withdrawal))
    assert (status, problem["field"]) == (422, "holdId")
    body = msgspec.json.encode({"payments": [withdrawal, deposit(metadata={"holdId": 1})]})
    _, answer = await sent(stage, "POST", "/v1/payments/batch", body)
    assert [result["status_code"] for result in answer["results"]] == [422, 202]
    assert answer["results"][0]["body"]["field"] == "payments[0].holdId"


@pytest.mark.parametrize(
    ("literal", "field"),
    [
        (b'"a\\u0000b"', "metadata.x"),
        (b"1e-9999", "metadata.x"),
        (b"[1E5000]", "metadata.x"),
        (b"1" * 5_000, "metadata.x"),
        (b"[" * 31 + b"]" * 31, "metadata.x"),
        (b"[" + b",".join([b"1e-990"] * 1_100) + b"]", None),
    ],
    ids=["NUL", "tiny", "huge", "long", "deep", "many"],
)
async def test_a_body_that_no_worker_could_read_or_store_is_422(
    literal: bytes, field: str | None, stage: Stage
) -> None:
    body = msgspec.json.encode(deposit(metadata={"x": "PLACE"})).replace(b'"PLACE"', literal)
    status, problem = await sent(stage, "POST", "/v1/payments", body)
    assert (status, problem.get("field"), problem["reason"]) == (422, field, "invalid")
    assert stage.published == []


async def test_32_levels_of_nesting_are_accepted_over_http_as_on_the_topics(stage: Stage) -> None:
    body = msgspec.json.encode(deposit(metadata={"x": "PLACE"})).replace(b'"PLACE"', b"[" * 30 + b"]" * 30)
    assert (await sent(stage, "POST", "/v1/payments", body))[0] == 202


FINE = "2026-11-24T23:00:00.1234567Z"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/v1/wallets/{WALLET}/balance?at={FINE}", "at"),
        (f"/v1/wallets/{WALLET}/statement?from={FINE}", "from"),
        (f"/v1/wallets/{WALLET}/statement?to=2026-11-24T23:00:00.000000000Z", "to"),
    ],
)
async def test_digits_after_the_sixth_of_a_time_in_a_query_are_refused(
    path: str, field: str, stage: Stage
) -> None:
    response = await stage.client.get(path)
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, field)
    assert problem["detail"] == "must have at most 6 digits in the fraction of a second"


async def test_digits_after_the_sixth_of_a_hold_s_end_are_refused(stage: Stage) -> None:
    body = msgspec.json.encode({"amount": "1.00", "currency": "EUR", "expires_at": FINE})
    status, problem = await sent(stage, "POST", HOLDS, body)
    assert (status, problem["field"]) == (422, "expires_at")
    assert stage.published == []
