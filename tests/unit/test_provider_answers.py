"""Answers of providers: no text beside the outcome changes it, and an answer opens no breaker."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp import web

from agents.providers import ProviderCalls, answer
from ledger_streams.adapters.providers.answers import DETAIL_CHARACTERS_MAX, check_status, read_answer
from ledger_streams.domain.answers import ProviderReply, ProviderTimedOut
from ledger_streams.domain.ids import PaymentId
from ledger_streams.domain.request import PaymentKind
from ledger_streams.domain.saga.commands import CarryOutPayment
from ledger_streams.errors import Unavailable
from ledger_streams.ports import ProviderAnswer, Unsettled
from ledger_streams.testing.memory_breakers import MemoryBreakers
from ledger_streams.wire import encode_saga_event, read_saga_event
from tests.model.samples import PAYMENT
from tests.provider_stage import ACME, client, serving

ORDER = CarryOutPayment(PaymentId(PAYMENT), ACME, PaymentKind.DEPOSIT, 1025, "EUR", 1, 1)
DEEP = b"[" * 70 + b"]" * 70
TEXTS: dict[str, tuple[bytes, str | None]] = {
    "an escaped NUL": (b'"a\\u0000b"', "a\ufffdb"),
    "half a surrogate pair": (b'"a\\ud800"', "a\ufffd"),
    "the other half": (b'"\\udc00b"', "\ufffdb"),
    "bytes that are not UTF-8": (b'"caf\xe9"', "caf\ufffd"),
    "a control character": (b'"a\nb"', "a\nb"),
    "a novel": (b'"' + b"x" * 200_000 + b'"', "x" * DETAIL_CHARACTERS_MAX),
    "a number": (b"10000000000000000000000001", "10000000000000000000000001"),
    "a number without bound": (b"1e-9999", "1e-9999"),
    "an object": (b'{"code": 5, "text": "\\u0000"}', None),
    "brackets": (DEEP, None),
    "null": (b"null", None),
    "true": (b"true", None),
    "nothing": (b'""', ""),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(("status", "name"), [("approved", "reference"), ("declined", "reason")])
def test_an_outcome_stands_with_any_text_of_the_provider(status: str, name: str, text: str) -> None:
    literal, kept = TEXTS[text]
    body = b'{"%s": %s, "status": "%s", "other": %s}' % (name.encode(), literal, status.encode(), literal)
    said = read_answer(ACME, "carry_out", body)
    assert (said.status, said.detail) == (status, kept)


@pytest.mark.parametrize("text", TEXTS)
def test_a_cancellation_stands_with_any_text_of_the_provider(text: str) -> None:
    body = b'\xef\xbb\xbf{"reason": %s, "status": "cancelled"}' % TEXTS[text][0]
    assert read_answer(ACME, "cancel", body) == ProviderAnswer("cancelled")


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "approved", "status": "approved"}',
        b'{"status": "approved", "\\u0073tatus": "declined"}',
        b'{"status": "approved", "fees": [{"a": 1, "a": 2}]}',
        b'{"status": "pending"}',
        b'{"status": "a\\u0000b"}',
        b'{"status": ["approved"]}',
        b"{}",
    ],
)
def test_an_answer_without_an_outcome_is_unsettled(body: bytes) -> None:
    with pytest.raises(Unsettled) as caught:
        read_answer(ACME, "carry_out", body)
    assert "\0" not in caught.value.detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"approved"', b"{", b"[" * 100_000])
def test_only_a_json_object_is_an_answer_of_a_provider(body: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        read_answer(ACME, "carry_out", body)
    assert not isinstance(caught.value, Unsettled)


@pytest.mark.parametrize("status", [201, 202, 204, 400, 401, 403, 404, 405, 409, 410, 415, 422, 451])
def test_a_status_that_is_an_answer_leaves_the_outcome_unsettled(status: int) -> None:
    with pytest.raises(Unsettled, match=str(status)):
        check_status(ACME, "payments/1", status)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 407, 408, 425, 429, 500, 502, 503, 504, 520])
def test_a_status_that_is_a_failure_is_unavailable(status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)) as caught:
        check_status(ACME, "payments/1", status)
    assert not isinstance(caught.value, Unsettled)


async def replies(status: int, body: bytes, times: int = 3) -> tuple[list[ProviderReply], bool]:
    """Return the replies to an order that is given so many times, and whether calls are still allowed."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.add_routes([web.put("/payments/{key}", page)])
    breakers = MemoryBreakers(failures_max=2, open_s=60, clock_ms=lambda: 0)
    async with serving(app) as url, client(url) as providers:
        calls = ProviderCalls(providers, breakers)
        said = [await answer(ORDER, calls) for _ in range(times)]
    return said, await breakers.allow_call(ACME)


@pytest.mark.parametrize(
    ("status", "body"),
    [(409, b"{}"), (404, b""), (422, b"no"), (202, b"{}"), (200, b'{"status": "pending"}')],
)
async def test_an_answer_without_an_outcome_does_not_open_the_breaker(status: int, body: bytes) -> None:
    said, is_allowed = await replies(status, body)
    assert [type(reply) for reply in said] == [ProviderTimedOut] * 3
    assert is_allowed


@pytest.mark.parametrize(("status", "body"), [(500, b""), (429, b""), (302, b""), (200, b"<html>")])
async def test_a_failure_opens_the_breaker(status: int, body: bytes) -> None:
    said, is_allowed = await replies(status, body)
    assert said[-1].detail == "not asked: the circuit breaker is open"
    assert not is_allowed


@pytest.mark.parametrize("text", TEXTS)
async def test_the_saga_receives_the_outcome_with_any_text(text: str) -> None:
    body = b'{"status": "approved", "reference": %s}' % TEXTS[text][0]
    (reply,), _ = await replies(200, body, times=1)
    value = encode_saga_event(reply, causation_id=PAYMENT, append_ms=1)
    assert type(read_saga_event(value, key=PAYMENT.encode()).event).__name__ == "ProviderApproved"
    assert msgspec.json.decode(value)["data"].get("detail") == TEXTS[text][1]
