"""Invalid HTTP requests: the problem names the field to change, and nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from ledger_streams import topics
from tests.e2e.bad_records import AMOUNTS
from tests.e2e.outside import balance, new_id, open_wallet, pay, read, transfer
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
NOBODYS = "00000000-0000-4000-8000-000000000000"
TEN_MEGABYTES = 10 * 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def payer(shared: LiveSystem) -> str:
    return await open_wallet(shared, funds="100.00")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def payee(shared: LiveSystem) -> str:
    return await open_wallet(shared)


async def posted(live: LiveSystem, path: str, body: bytes | BytesIO, headers: Any = JSON) -> Any:
    """Return status and problem; every problem is of RFC 9457."""
    status, problem, received = await live.request("POST", path, data=body, headers=headers)
    assert received["Content-Type"].startswith("application/problem+json"), problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return status, problem


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"amount=1", 400),
        (b'{"amount": "\xff"}', 400),
        (b'{"amount": NaN}', 400),
        (b"[" * 100_000, 400),
        (b'{"amount": "1", "amount": "250"}', 400),
        (b'{"metadata": {"a": [{"b": 1, "\\u0062": 1}]}}', 400),
        (b"[]", 422),
        (b'"payment"', 422),
        (b"{}", 422),
    ],
    ids=[
        "empty",
        "half",
        "a form",
        "not UTF-8",
        "NaN",
        "no bottom",
        "a key twice",
        "deep",
        "a list",
        "a string",
        "an empty object",
    ],
)
async def test_invalid_json_is_400_and_json_other_than_an_object_422(
    shared: LiveSystem, body: bytes, status: int
) -> None:
    assert (await posted(shared, "/v1/payments", body))[0] == status


async def test_another_content_type_is_415(shared: LiveSystem, payer: str, payee: str) -> None:
    body = msgspec.json.encode(transfer(payer, payee))
    for kind in ("text/plain", "application/xml", "application/json; charset=utf-16"):
        assert (await posted(shared, "/v1/payments", body, {"Content-Type": kind}))[0] == 415


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"an amount that is {name}": ("amount", {"amount": value}) for name, value in AMOUNTS.items()},
    "too many digits for yen": ("amount", {"currency": "JPY", "amount": "1.5"}),
    "a currency nobody knows": ("currency", {"currency": "XXQ"}),
    "a kind nobody knows": ("kind", {"kind": "gift"}),
    "a payment_id that is no UUID": ("payment_id", {"payment_id": "1"}),
    "a source that is no UUID": ("source_wallet_id", {"source_wallet_id": "ada"}),
    "no target": ("target_wallet_id", {"target_wallet_id": None}),
    "a provider that is a number": ("provider", {"provider": 1}),
    "metadata that is text": ("metadata", {"metadata": "x"}),
    "NUL in a text": ("metadata", {"metadata": {"note": "a\0b"}}),
    "a field that no payment has": ("holdId", {"holdId": "x"}),
    "a number of 10,000 digits, written out": ("metadata", {"metadata": {"n": msgspec.Raw(b"1e-9999")}}),
    "40 levels of brackets": ("metadata", {"metadata": {"deep": msgspec.json.decode("[" * 40 + "]" * 40)}}),
}


@pytest.mark.parametrize("case", WRONG)
async def test_invalid_content_is_422_and_names_the_field(
    shared: LiveSystem, payer: str, payee: str, case: str
) -> None:
    field, change = WRONG[case]
    data = transfer(payer, payee) | change
    status, problem = await posted(shared, "/v1/payments?wait=5", msgspec.json.encode(data))
    assert (status, problem["reason"]) == (422, "invalid")
    assert problem["field"].split(".")[0] == field
    assert (await shared.request("GET", f"/v1/payments/{data['payment_id']}"))[0] == 404


@pytest.mark.parametrize("wait", ["-1", "31", "x", "", "1e1", "NaN"])
async def test_a_wait_out_of_bounds_is_422(shared: LiveSystem, payer: str, payee: str, wait: str) -> None:
    body = msgspec.json.encode(transfer(payer, payee))
    status, problem = await posted(shared, f"/v1/payments?wait={wait}", body)
    assert (status, problem["field"]) == (422, "wait")


@pytest.mark.parametrize("key", ["", "x" * 256, "clé"])
async def test_an_idempotency_key_out_of_bounds_is_422(shared: LiveSystem, key: str) -> None:
    status, problem = await posted(shared, "/v1/payments", b"{}", JSON | {"Idempotency-Key": key})
    assert (status, problem["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/wallets"])
async def test_a_body_of_ten_megabytes_is_413_at_once(shared: LiveSystem, path: str) -> None:
    body = BytesIO(b'{"metadata": "' + b"x" * TEN_MEGABYTES + b'"}')
    assert (await posted(shared, path, body))[0] == 413


async def test_a_chunked_body_beyond_the_limit_is_413(shared: LiveSystem) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10 * 1024):
            yield b" " * 1024

    status, problem, _ = await shared.request("POST", "/v1/payments", data=chunks(), headers=JSON)
    assert (status, problem["status"]) == (413, 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/payments/x", 404),
        ("GET", f"/v1/payments/{NOBODYS}", 404),
        ("GET", f"/v1/wallets/{NOBODYS}", 404),
        ("GET", f"/v1/wallets/{NOBODYS}/balance", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/table/wallets", 404),
        ("DELETE", "/v1/payments", 405),
    ],
)
async def test_an_unknown_path_is_404_and_an_unsupported_method_405(
    shared: LiveSystem, method: str, path: str, status: int
) -> None:
    answered, problem, headers = await shared.request(method, path)
    assert (answered, problem["status"]) == (status, status)
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_a_wallet_opened_again_is_200_and_with_other_content_409(shared: LiveSystem) -> None:
    body = {"wallet_id": new_id(), "user_id": new_id(), "currencies": ["EUR", "JPY"]}
    answers = [await shared.request("POST", "/v1/wallets", json=body) for _ in range(2)]
    assert [status for status, _, _ in answers] == [201, 200]
    assert answers[0][1] == answers[1][1]
    for change in ({"currencies": ["EUR"]}, {"user_id": new_id()}, {"overdraft_limits": {"EUR": "1.00"}}):
        status, problem, _ = await shared.request("POST", "/v1/wallets", json=body | change)
        assert (status, problem["reason"]) == (409, "duplicate_mismatch")


async def test_a_wallet_with_money_in_it_cannot_be_closed(shared: LiveSystem, payer: str) -> None:
    body = {"reason": "a test asks for it"}
    status, problem, _ = await shared.request("POST", f"/v1/wallets/{payer}/close", json=body)
    assert (status, problem["status"]) == (409, 409)


async def test_in_the_end_no_bad_request_was_written_and_a_valid_one_is_accepted(
    shared: LiveSystem, payer: str, payee: str
) -> None:
    assert (await pay(shared, transfer(payer, payee)))["status"] == "completed"
    assert await balance(shared, payer) == "99.00"
    requests = [kept.key for kept in await read(shared, topics.PAYMENT_EVENTS) if b"Requested" in kept.value]
    assert len(requests) == 2
    assert await read(shared, topics.dead_letters(topics.PAYMENT_EVENTS)) == []
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
