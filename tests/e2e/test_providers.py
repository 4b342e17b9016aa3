"""Payments by a provider: its book and the ledger agree, even after lost answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition

from ledger_streams import topics, wire
from ledger_streams.domain.ids import PaymentId
from ledger_streams.settings import Settings
from tests.e2e.outside import balance, ended, events, new_id, open_wallet, pay, read
from tests.live import LiveSystem, eventually, running
from tests.own_system import own_system
from tests.provider_stage import serving, simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDER_PARTITIONS = topics.spec(topics.PROVIDER_REQUESTS).partitions
PATIENCE_MS = 15_000
"""Long enough for a person, who has to start a command, and for a machine that is slow."""
BEHAVIOURS: dict[str, dict[str, float]] = {
    "good": {},
    "stern": {"decline_share": 1.0},
    "forgetful": {"lost_share": 0.4},
    "slow": {"slow_share": 0.4, "slow_ms": 1_500.0},
    "silent": {"error_share": 1.0},
}


def odd_provider() -> web.Application:
    """A provider whose texts no event can carry: it approves deposits and declines withdrawals."""

    async def page(request: web.Request) -> web.Response:
        is_deposit = (await request.json())["kind"] == "deposit"
        status, name = (b"approved", b"reference") if is_deposit else (b"declined", b"reason")
        text = b'"a\\u0000b\\ud800\xff' + b"x" * 100_000 + b'"'
        return web.Response(body=b'{"status": "%s", "%s": %s, "x": %s}' % (status, name, text, text))

    app = web.Application()
    app.add_routes([web.put("/payments/{key}", page)])
    return app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveSystem]:
    """Two workers, a gateway, and providers of different manners."""
    async with AsyncExitStack() as ends:
        home = tmp_path_factory.mktemp("system")
        urls = {
            name: await ends.enter_async_context(simulator(home, name, **behaviour))
            for name, behaviour in BEHAVIOURS.items()
        }
        urls["odd"] = await ends.enter_async_context(serving(odd_provider()))
        own = await ends.enter_async_context(own_system(stack, home))
        changes: dict[str, Any] = {
            "providers": ",".join(f"{name}={url}" for name, url in urls.items()),
            "provider_patience_ms": PATIENCE_MS,
            "saga_stuck_s": 2,
            "provider_timeout_ms": 1_000,
            "breaker_failures_max": 1_000,
        }
        yield await ends.enter_async_context(running(own.model_copy(update=changes), workers=2))


def by_provider(kind: str, wallet_id: str, provider: str, amount: str = "4.00") -> dict[str, Any]:
    end = "target_wallet_id" if kind == "deposit" else "source_wallet_id"
    money = {"amount": amount, "currency": "EUR", "provider": provider}
    return {"payment_id": new_id(), "kind": kind, end: wallet_id, **money}


async def booked(live: LiveSystem, provider: str, payment_id: str) -> str | None:
    """Return what the provider's own book says of the payment: approved, declined, cancelled or nothing."""
    url = live.settings.provider_urls[provider]
    key = wire.idempotency_key(PaymentId(payment_id))
    async with aiohttp.ClientSession() as session, session.get(f"{url}/payments/{key}") as answer:
        return (await answer.json())["status"] if answer.status == 200 else None


async def steps(live: LiveSystem, payment_id: str) -> list[str]:
    return [event["event_type"] for event in await events(live, topics.SAGA_EVENTS, payment_id)]


async def test_a_deposit_is_collected_and_then_credited(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared)
    payment = by_provider("deposit", wallet, "good")
    assert (await pay(shared, payment))["status"] == "completed"
    assert await balance(shared, wallet) == "4.00"
    assert await booked(shared, "good", payment["payment_id"]) == "approved"
    assert await steps(shared, payment["payment_id"]) == [
        "SagaStarted",
        "ProviderApproved",
        "WalletCredited",
        "SagaCompleted",
    ]


async def test_a_withdrawal_is_held_paid_out_and_captured(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    payment = by_provider("withdrawal", wallet, "good")
    assert (await pay(shared, payment))["status"] == "completed"
    assert await balance(shared, wallet) == "6.00"
    assert await booked(shared, "good", payment["payment_id"]) == "approved"
    assert await steps(shared, payment["payment_id"]) == [
        "SagaStarted",
        "WalletHeld",
        "ProviderApproved",
        "WalletDeducted",
        "SagaCompleted",
    ]
    own = [event["event_type"] for event in await events(shared, topics.WALLET_EVENTS, wallet)]
    assert own == ["WalletOpened", "BalanceAdded", "FundsHeld", "BalanceDeducted", "HoldCaptured"]


@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
async def test_a_declined_payment_fails_and_moves_nothing(shared: LiveSystem, kind: str) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    payment = await pay(shared, by_provider(kind, wallet, "stern"))
    assert (payment["status"], payment["reason"]) == ("failed", "provider_declined")
    assert await balance(shared, wallet) == "10.00"
    _, wallet_now, _ = await shared.request("GET", f"/v1/wallets/{wallet}")
    assert wallet_now["balances"]["EUR"]["held"] == "0.00"


@pytest.mark.parametrize(
    ("kind", "status", "funds"), [("deposit", "completed", "14.00"), ("withdrawal", "failed", "10.00")]
)
async def test_no_text_of_a_provider_changes_its_outcome(
    shared: LiveSystem, kind: str, status: str, funds: str
) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    payment = await pay(shared, by_provider(kind, wallet, "odd"))
    assert payment["status"] == status
    assert await balance(shared, wallet) == funds
    (reply,) = [
        event["data"]["detail"]
        for event in await events(shared, topics.SAGA_EVENTS, payment["payment_id"])
        if event["event_type"].startswith("Provider")
    ]
    assert reply.startswith("a\ufffdb\ufffd\ufffdxx")
    assert len(reply) == 200


async def test_a_withdrawal_without_funds_sends_no_order_to_the_provider(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared, funds="3.99")
    payment = by_provider("withdrawal", wallet, "good")
    assert (await pay(shared, payment))["reason"] == "insufficient_funds"
    assert await booked(shared, "good", payment["payment_id"]) is None


async def test_a_deposit_that_no_wallet_takes_is_cancelled_at_the_provider(shared: LiveSystem) -> None:
    payment = by_provider("deposit", new_id(), "good")
    assert (await pay(shared, payment))["reason"] == "wallet_not_found"
    assert await booked(shared, "good", payment["payment_id"]) == "cancelled"


@pytest.mark.parametrize("provider", ["forgetful", "slow"])
async def test_lost_and_late_answers_end_as_the_provider_s_book_has_it(
    shared: LiveSystem, provider: str
) -> None:
    wallet = await open_wallet(shared, funds="100.00")
    payments = [
        by_provider(kind, wallet, provider, "1.00") for kind in ("deposit", "withdrawal") for _ in range(10)
    ]
    await asyncio.gather(*(shared.request("POST", "/v1/payments", json=payment) for payment in payments))
    expected = Decimal(100)
    for payment in payments:
        end = await ended(shared, payment["payment_id"], seconds=60)
        book = await booked(shared, provider, payment["payment_id"])
        completed = end["status"] == "completed"
        assert completed == (book == "approved"), (end, book)
        if completed:
            expected += 1 if payment["kind"] == "deposit" else -1
    assert await balance(shared, wallet) == f"{expected:.2f}"


async def under_way(live: LiveSystem, payment_id: str, *options: str) -> dict[str, Any] | None:
    """Return the payment's saga as `sagas list` has it."""
    listed = await live.document("sagas", "list", *options)
    return next((saga for saga in listed if saga["payment_id"] == payment_id), None)


async def test_nothing_is_compensated_while_the_provider_may_have_paid(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    payment = by_provider("withdrawal", wallet, "silent")
    payment_id = payment["payment_id"]
    assert (await shared.request("POST", "/v1/payments", json=payment))[0] == 202

    async def is_cancelling() -> bool:
        saga = await under_way(shared, payment_id, "--stuck")
        return saga is not None and (saga["status"], saga["reason"]) == ("cancelling", "provider_timeout")

    await eventually(is_cancelling, what="the provider is told to cancel, and says nothing")
    _, waiting, _ = await shared.request("GET", f"/v1/payments/{payment_id}")
    assert waiting["status"] == "pending"
    assert waiting["waiting_for"]["what"] == "provider"
    assert await held(shared, wallet) == ("4.00", "6.00")

    async def is_counted() -> bool:
        _, metrics, _ = await shared.request("GET", "/metrics")
        (line,) = [line for line in metrics.splitlines() if line.startswith("ledger_payments_stuck ")]
        return float(line.split()[1]) >= 1

    await eventually(is_counted, what="the metric says that a payment is stuck")
    code, _, error = await shared.command(
        "sagas", "settle", payment_id, "approved", "--reason", "x", *at(shared)
    )
    assert (code, "has not ended" in error) == (1, True), "it has been told to cancel: it cannot be approved"
    settled = await settle(shared, payment_id, "declined", "their support says that nothing was paid")
    assert (settled["status"], settled["reason"]) == ("failed", "provider_timeout")
    assert await held(shared, wallet) == ("0.00", "10.00")
    again, _, error = await shared.command(
        "sagas", "settle", payment_id, "declined", "--reason", "x", *at(shared)
    )
    assert (again, "is failed: it awaits no provider" in error) == (1, True)


async def test_an_operator_settles_a_payment_with_the_provider_s_outcome(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    payment = by_provider("withdrawal", wallet, "silent")
    await shared.request("POST", "/v1/payments", json=payment)
    settled = await settle(shared, payment["payment_id"], "approved", "it is on their statement of today")
    assert settled["status"] == "completed"
    assert await balance(shared, wallet) == "6.00"
    (approved,) = [
        event
        for event in await events(shared, topics.SAGA_EVENTS, payment["payment_id"])
        if event["event_type"] == "ProviderApproved"
    ]
    assert approved["data"]["detail"] == "settled by hand: it is on their statement of today"


@pytest.mark.slow
async def test_a_settlement_during_repeated_orders_takes_effect_at_once(
    shared: LiveSystem,
) -> None:
    wallet = await open_wallet(shared, funds="100.00")
    payments = [by_provider("withdrawal", wallet, "silent") for _ in range(8)]
    for payment in payments:
        assert (await shared.request("POST", "/v1/payments", json=payment))[0] == 202
    letters = await shared.document("dlq", "list")
    for four in (payments[:4], payments[4:]):
        ends = await asyncio.gather(
            *(settle(shared, payment["payment_id"], "declined", "their list") for payment in four)
        )
        assert [end["status"] for end in ends] == ["failed"] * 4
    assert await held(shared, wallet) == ("0.00", "100.00")
    assert await shared.document("dlq", "list") == letters, "nothing was parked"


async def settle(live: LiveSystem, payment_id: str, outcome: str, reason: str) -> Any:
    return await live.document("sagas", "settle", payment_id, outcome, "--reason", reason, *at(live))


def at(live: LiveSystem) -> tuple[str, str]:
    return "--url", f"http://127.0.0.1:{live.ports['worker-1']}"


async def held(live: LiveSystem, wallet_id: str) -> tuple[str, str]:
    """Return held and available."""
    _, wallet, _ = await live.request("GET", f"/v1/wallets/{wallet_id}")
    money = wallet["balances"]["EUR"]
    return money["held"], money["available"]


async def test_an_unconfigured_provider_is_422(shared: LiveSystem) -> None:
    wallet = await open_wallet(shared, funds="10.00")
    data = by_provider("withdrawal", wallet, "unheard-of")
    status, problem, _ = await shared.request("POST", "/v1/payments", json=data)
    assert (status, problem["field"]) == (422, "provider")
    assert await balance(shared, wallet) == "10.00"


async def test_books_and_ledger_agree_and_nothing_differs(shared: LiveSystem) -> None:
    document = await shared.document("reconcile", "--rocksdb")
    assert document["differences"] == []


async def test_a_gateway_repeats_no_order_after_its_group_has_lost_its_offsets(
    shared: LiveSystem,
) -> None:
    """The group's coordinator may come back with offsets of long ago, see position_log."""
    wallet = await open_wallet(shared)
    old = [by_provider("deposit", wallet, "good") for _ in range(2 * ORDER_PARTITIONS)]
    for payment in old:
        assert (await pay(shared, payment))["status"] == "completed"
    said = [await steps(shared, payment["payment_id"]) for payment in old]
    gateway = shared.processes["gateway-1"]
    gateway.stop()
    await set_back(shared)
    gateway.start()
    new = [by_provider("deposit", wallet, "good") for _ in range(2 * ORDER_PARTITIONS)]
    outcomes = await asyncio.gather(*(pay(shared, payment) for payment in new))
    assert {outcome["status"] for outcome in outcomes} == {"completed"}
    assert [await steps(shared, payment["payment_id"]) for payment in old] == said
    assert await read(shared, topics.dead_letters(topics.SAGA_EVENTS)) == []


async def set_back(live: LiveSystem) -> None:
    """Set the group of the gateways, of which none runs, back to the beginning."""
    orders = live.settings.topic(topics.PROVIDER_REQUESTS)
    async with AIOKafkaConsumer(
        bootstrap_servers=live.settings.kafka,
        group_id=f"{live.settings.app_id}-gateway",
        enable_auto_commit=False,
    ) as nobody:
        partitions = [TopicPartition(orders, number) for number in range(ORDER_PARTITIONS)]
        nobody.assign(partitions)
        await nobody.commit(dict.fromkeys(partitions, 0))
