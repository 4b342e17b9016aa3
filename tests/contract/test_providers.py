"""The contract of `Providers`: HTTP against the simulator, and against answers of every wrong kind."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from ledger_streams.adapters.providers.http import ANSWER_BYTES_MAX, HttpProviders
from ledger_streams.domain.ids import derived_id
from ledger_streams.errors import Unavailable
from ledger_streams.local.provider_simulator.faults import Behaviour, Fault
from ledger_streams.ports import ProviderAnswer
from tests.live import eventually
from tests.ports import free_port
from tests.projected import new_id
from tests.provider_stage import ACME, client, order, provider, serving

CANCELLED = ProviderAnswer("cancelled")
DECLINED_AS_CANCELLED = ProviderAnswer("declined", "cancelled")


def key_with(fault: Fault, behaviour: Behaviour, call: str = "carry_out") -> str:
    """Return a key whose first call has this fault and whose second has none."""
    while True:
        key = new_id()
        if (behaviour.fault(key, call, 1), behaviour.fault(key, call, 2)) == (fault, Fault.NONE):
            return key


async def test_an_order_is_approved_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async with provider(tmp_path) as stage:
        wanted = order()
        answers = [await stage.providers.carry_out(ACME, wanted) for _ in range(3)]
        assert answers == [ProviderAnswer("approved", f"sim-{wanted.key}")] * 3
        _, book = await stage.ask("GET", "/book?keys=1")
        content = {"payment_id": wanted.payment_id, "kind": "deposit", "amount": "10.25", "currency": "EUR"}
        assert book == {
            "currencies": {
                "EUR": {"collected": "10.25", "collected_count": 1, "paid_out": "0.00", "paid_out_count": 0}
            },
            "keys": [{"key": wanted.key} | content],
        }


async def test_an_order_is_declined_with_its_reason_each_time(tmp_path: Path) -> None:
    async with provider(tmp_path, decline_share=1) as stage:
        wanted = order(kind="withdrawal")
        for _ in range(2):
            answer = await stage.providers.carry_out(ACME, wanted)
            assert answer == ProviderAnswer("declined", "not_honoured")
        assert await stage.effective() == []


async def test_a_known_key_with_other_content_needs_an_operator(tmp_path: Path) -> None:
    async with provider(tmp_path) as stage:
        wanted = order()
        await stage.providers.carry_out(ACME, wanted)
        with pytest.raises(Unavailable, match=r"provider acme .* 409, .* settle the payment by hand"):
            await stage.providers.carry_out(ACME, order(wanted.key))
        assert await stage.effective() == [wanted.key]


async def test_the_same_amount_written_otherwise_is_the_same_order(tmp_path: Path) -> None:
    async with provider(tmp_path) as stage:
        key, payment_id = new_id(), new_id()
        for amount in ("10.5", "10.50"):
            answer = await stage.providers.carry_out(ACME, order(key, payment_id=payment_id, amount=amount))
            assert answer.status == "approved"


async def test_a_cancellation_before_the_order_prevents_its_execution_for_ever(tmp_path: Path) -> None:
    async with provider(tmp_path) as stage:
        wanted = order()
        assert await stage.providers.cancel(ACME, wanted.key) == CANCELLED
        assert await stage.providers.carry_out(ACME, wanted) == DECLINED_AS_CANCELLED
        assert await stage.effective() == []


async def test_a_cancellation_after_the_order_reverses_it_for_ever(tmp_path: Path) -> None:
    async with provider(tmp_path) as stage:
        wanted = order()
        await stage.providers.carry_out(ACME, wanted)
        for _ in range(2):
            assert await stage.providers.cancel(ACME, wanted.key) == CANCELLED
        assert await stage.providers.carry_out(ACME, wanted) == DECLINED_AS_CANCELLED
        assert (await stage.status(wanted.key), await stage.effective()) == ("cancelled", [])


async def test_an_answer_that_comes_too_late_is_unknown_and_was_carried_out(tmp_path: Path) -> None:
    slow = Behaviour(slow_share=0.5)
    wanted = order(key_with(Fault.LATE_ANSWER, slow))
    async with provider(tmp_path, timeout_ms=300, slow_ms=60_000, slow_share=0.5) as stage:
        with pytest.raises(Unavailable, match=r"provider acme .* no answer within 0\.3 s"):
            await stage.providers.carry_out(ACME, wanted)
        assert await stage.effective() == [wanted.key]
        assert (await stage.providers.carry_out(ACME, wanted)).status == "approved"


async def test_an_order_cancelled_while_it_is_under_way_has_no_effect_when_it_arrives(tmp_path: Path) -> None:
    slow = Behaviour(slow_share=0.5)
    wanted = order(key_with(Fault.LATE_ACTION, slow))
    async with provider(tmp_path, timeout_ms=200, slow_ms=700, slow_share=0.5) as stage:
        with pytest.raises(Unavailable):
            await stage.providers.carry_out(ACME, wanted)

        async def cancelled() -> bool:
            try:
                return await stage.providers.cancel(ACME, wanted.key) == CANCELLED
            except Unavailable:
                return False

        async def arrived() -> bool:
            _, shown = await stage.ask("GET", f"/payments/{wanted.key}")
            return "amount" in shown

        await eventually(cancelled, what="the key is cancelled", seconds=20)
        await eventually(arrived, what="the late order arrives", seconds=20)
        assert (await stage.status(wanted.key), await stage.effective()) == ("cancelled", [])


@pytest.mark.parametrize("fault", [Fault.LOST_ERROR, Fault.LOST_CONNECTION])
async def test_a_lost_answer_is_unknown_until_the_same_key_is_sent_again(
    tmp_path: Path, fault: Fault
) -> None:
    wanted = order(key_with(fault, Behaviour(lost_share=0.5)))
    async with provider(tmp_path, lost_share=0.5) as stage:
        with pytest.raises(Unavailable, match="provider acme is not available"):
            await stage.providers.carry_out(ACME, wanted)
        assert await stage.effective() == [wanted.key]
        assert (await stage.providers.carry_out(ACME, wanted)).status == "approved"
        assert await stage.effective() == [wanted.key]


async def test_an_error_is_unknown_though_nothing_was_done(tmp_path: Path) -> None:
    async with provider(tmp_path, error_share=1) as stage:
        wanted = order()
        with pytest.raises(Unavailable, match="answered 503"):
            await stage.providers.carry_out(ACME, wanted)
        with pytest.raises(Unavailable, match="answered 503"):
            await stage.providers.cancel(ACME, wanted.key)
        assert await stage.status(wanted.key) is None


async def test_an_order_that_arrives_twice_counts_once(tmp_path: Path) -> None:
    async with provider(tmp_path, double_share=1) as stage:
        wanted = order(kind="withdrawal")
        assert (await stage.providers.carry_out(ACME, wanted)).status == "approved"
        _, book = await stage.ask("GET", "/book")
        assert (book["currencies"]["EUR"]["paid_out"], book["currencies"]["EUR"]["paid_out_count"]) == (
            "10.25",
            1,
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "1.234"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"kind": "transfer"}, "kind"),
        ({"payment_id": "1"}, "payment_id"),
    ],
)
async def test_the_simulator_refuses_what_is_no_order(
    tmp_path: Path, changes: dict[str, str], field: str
) -> None:
    async with provider(tmp_path) as stage:
        wanted = order(**changes)
        with pytest.raises(Unavailable, match="answered 400"):
            await stage.providers.carry_out(ACME, wanted)
        body = msgspec.json.encode(wanted)
        status, said = await stage.ask("PUT", f"/payments/{wanted.key}", body)
        assert (status, said["error"].split(":")[0]) == (400, field)
        assert await stage.status(wanted.key) is None


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (200, b"", "unreadable"),
        (200, b"<html>", "unreadable"),
        (200, b"[]", "unreadable"),
        (200, b"{}", "unreadable"),
        (200, b'{"status": 1}', "unreadable"),
        (200, b'{"status": "cancelled"}', "unreadable"),
        (200, b'{"status": "approved", "status": "declined"}', "a key occurs twice"),
        (200, b'{"status": "approved", "x": [{"a": 1, "\\u0061": 1}]}', "a key occurs twice"),
        (200, b'{"x": ' + b"[" * 40_000, "unreadable"),
        (200, b'{"status": "approved"}' + b" " * ANSWER_BYTES_MAX, "more than 1048576 bytes"),
        (201, b'{"status": "approved"}', "answered 201"),
        (302, b'{"status": "approved"}', "answered 302"),
        (429, b'{"status": "declined"}', "answered 429"),
        (500, b'{"status": "declined"}', "answered 500"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_any_other_answer_is_unknown(status: int, body: bytes, detail: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.add_routes([web.put("/payments/{key}", answer)])
    async with serving(app) as url, client(url) as providers:
        with pytest.raises(Unavailable, match=detail):
            await providers.carry_out(ACME, order())


async def test_the_final_answer_agrees_with_the_book_after_any_fault(tmp_path: Path) -> None:
    shares = {"slow_share": 0.1, "error_share": 0.2, "lost_share": 0.2, "double_share": 0.1}
    async with provider(tmp_path, timeout_ms=300, slow_ms=600, decline_share=0.2, **shares) as stage:

        async def told(number: int) -> tuple[str, str]:
            """Send until the outcome is known; each fifth one is cancelled if its first answer was lost."""
            wanted = order(derived_id(f"order {number}"))
            call = stage.providers.carry_out(ACME, wanted)
            while True:
                try:
                    return wanted.key, (await call).status
                except Unavailable:
                    if number % 5 == 0:
                        call = stage.providers.cancel(ACME, wanted.key)
                    else:
                        call = stage.providers.carry_out(ACME, wanted)

        outcomes = dict(await asyncio.gather(*(told(number) for number in range(100))))
        assert set(outcomes.values()) == {"approved", "declined", "cancelled"}
        expected = {key for key, status in outcomes.items() if status == "approved"}

        async def agrees() -> bool:
            return set(await stage.effective()) == expected

        await eventually(agrees, what="the book has what was told", seconds=10)


async def test_a_stopped_unknown_or_unstarted_provider_is_unavailable() -> None:
    async with client(f"http://127.0.0.1:{free_port()}") as providers:
        assert (providers.knows(ACME), providers.knows("other")) == (True, False)
        with pytest.raises(Unavailable, match="provider acme is not available: Client"):
            await providers.carry_out(ACME, order())
        with pytest.raises(Unavailable, match="provider other is not available: no provider of this name"):
            await providers.cancel("other", new_id())
    closed = HttpProviders({ACME: "http://127.0.0.1:1"}, timeout_ms=100, calls_max=1)
    with pytest.raises(Unavailable, match="not started"):
        await closed.cancel(ACME, new_id())


async def test_simultaneous_calls_to_a_provider_are_limited() -> None:
    seen: Counter[str] = Counter()
    full = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        seen["now"] += 1
        seen["most"] = max(seen["most"], seen["now"])
        if seen["now"] == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        seen["now"] -= 1
        return web.json_response({"status": "cancelled"})

    app = web.Application()
    app.add_routes([web.put("/payments/{key}/cancellation", answer)])
    async with serving(app) as url, client(url, calls_max=3) as providers:
        answers = await asyncio.gather(*(providers.cancel(ACME, new_id()) for _ in range(12)))
    assert (answers, seen["most"]) == ([CANCELLED] * 12, 3)


async def test_calls_are_measured_by_their_outcome(tmp_path: Path) -> None:
    before = measured("carry_out", "approved"), measured("cancel", "cancelled"), measured("cancel", "unknown")
    async with provider(tmp_path) as stage:
        wanted = order()
        await stage.providers.carry_out(ACME, wanted)
        await stage.providers.cancel(ACME, wanted.key)
    async with client(f"http://127.0.0.1:{free_port()}") as providers:
        with pytest.raises(Unavailable):
            await providers.cancel(ACME, wanted.key)
    after = measured("carry_out", "approved"), measured("cancel", "cancelled"), measured("cancel", "unknown")
    assert after == tuple(count + 1 for count in before)


def measured(call: str, outcome: str) -> float:
    labels = {"provider": ACME, "call": call, "outcome": outcome}
    return REGISTRY.get_sample_value("ledger_provider_call_seconds_count", labels) or 0.0
