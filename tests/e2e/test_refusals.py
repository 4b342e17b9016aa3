"""Valid payments that the ledger refuses: they fail with the reason, and no money moves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from ledger_streams import topics
from tests.e2e.outside import (
    command,
    ended,
    events,
    new_id,
    open_wallet,
    pay,
    read,
    record,
    requested,
    send,
    transfer,
)
from tests.live import LiveSystem

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Wallets(msgspec.Struct):
    """One of each kind, and one that never was."""

    rich: str
    poor: str
    frozen: str
    closed: str
    in_yen: str
    nowhere: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wallets(shared: LiveSystem) -> Wallets:
    rich, poor = await open_wallet(shared, funds="100.00"), await open_wallet(shared, funds="0.99")
    frozen, closed = await open_wallet(shared, funds="100.00"), await open_wallet(shared)
    await command(shared, frozen, "freeze")
    await command(shared, closed, "close")
    return Wallets(rich, poor, frozen, closed, await open_wallet(shared, currencies=["JPY"]), new_id())


def withdrawal(wallet_id: str, **fields: Any) -> dict[str, Any]:
    money = {"amount": "1.00", "currency": "EUR"}
    return {"payment_id": new_id(), "kind": "withdrawal", "source_wallet_id": wallet_id, **money, **fields}


def deposit(wallet_id: str, **fields: Any) -> dict[str, Any]:
    money = {"amount": "1.00", "currency": "EUR"}
    return {"payment_id": new_id(), "kind": "deposit", "target_wallet_id": wallet_id, **money, **fields}


IMPOSSIBLE: dict[str, tuple[str, Callable[[Wallets], dict[str, Any]]]] = {
    "a payer with a cent too little": ("insufficient_funds", lambda w: transfer(w.poor, w.rich)),
    "a withdrawal of more than there is": (
        "insufficient_funds",
        lambda w: withdrawal(w.rich, amount="100.01"),
    ),
    "a payer nobody opened": ("wallet_not_found", lambda w: transfer(w.nowhere, w.rich)),
    "a payee nobody opened": ("wallet_not_found", lambda w: deposit(w.nowhere)),
    "a frozen payer": ("wallet_frozen", lambda w: transfer(w.frozen, w.rich)),
    "a closed payer": ("wallet_closed", lambda w: withdrawal(w.closed)),
    "a closed payee": ("wallet_closed", lambda w: deposit(w.closed)),
    "a payer without the currency": (
        "currency_mismatch",
        lambda w: transfer(w.in_yen, w.rich),
    ),
    "a payee without the currency": ("currency_mismatch", lambda w: deposit(w.in_yen)),
    "payer and payee in one": ("same_wallet", lambda w: transfer(w.rich, w.rich)),
    "a deposit through a provider": ("provider_unavailable", lambda w: deposit(w.rich, provider="bank")),
    "a withdrawal through a provider": ("provider_unavailable", lambda w: withdrawal(w.rich, provider="b")),
}

AT_THE_DOOR = {
    "payer and payee in one": ("target_wallet_id", "same_wallet"),
    "a deposit through a provider": ("provider", "invalid"),
    "a withdrawal through a provider": ("provider", "invalid"),
}
"""Cases that HTTP refuses with 422: the field, and the reason."""


async def by_record(live: LiveSystem, data: dict[str, Any]) -> dict[str, Any]:
    await send(live, [record(requested(data))])
    return await ended(live, data["payment_id"])


async def by_http_without_waiting(live: LiveSystem, data: dict[str, Any]) -> dict[str, Any]:
    status, answer, _ = await live.request("POST", "/v1/payments", json=data)
    assert (status, answer) == (202, {"payment_id": data["payment_id"], "status": "pending"})
    return await ended(live, data["payment_id"])


WAYS: dict[str, Callable[[LiveSystem, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "by record": by_record,
    "by HTTP": by_http_without_waiting,
    "by HTTP, waiting": pay,
}


async def snapshot(live: LiveSystem) -> list[Any]:
    rows = await live.rows("SELECT wallet_id, last_event_version, balances::text FROM wallet_snapshots")
    return sorted(tuple(row) for row in rows)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", [case for case in IMPOSSIBLE if case not in AT_THE_DOOR])
async def test_an_impossible_payment_fails_with_the_reason_and_moves_nothing(
    shared: LiveSystem, wallets: Wallets, case: str, way: str
) -> None:
    reason, data_for = IMPOSSIBLE[case]
    before, data = await snapshot(shared), data_for(wallets)
    payment = await WAYS[way](shared, data)
    assert (payment["status"], payment["reason"]) == ("failed", reason)
    assert (payment["amount"], payment["kind"]) == (data["amount"], data["kind"])
    assert payment["steps"][-1]["event_type"] == "PaymentFailed"
    assert await snapshot(shared) == before


@pytest.mark.parametrize("case", AT_THE_DOOR)
async def test_same_wallet_and_an_unknown_provider_are_422_and_a_record_fails_with_the_reason(
    shared: LiveSystem, wallets: Wallets, case: str
) -> None:
    reason, data_for = IMPOSSIBLE[case]
    data = data_for(wallets)
    status, problem, _ = await shared.request("POST", "/v1/payments?wait=5", json=data)
    assert (status, problem["field"], problem["reason"]) == (422, *AT_THE_DOOR[case])
    assert (await shared.request("GET", f"/v1/payments/{data['payment_id']}"))[0] == 404
    payment = await by_record(shared, data)
    assert (payment["status"], payment["reason"]) == ("failed", reason)


async def test_each_refused_payment_has_its_outcome_on_payment_events_and_no_dead_letter(
    shared: LiveSystem, wallets: Wallets
) -> None:
    sent = {case: data_for(wallets) for case, (_, data_for) in IMPOSSIBLE.items()}
    await send(shared, [record(requested(data)) for data in sent.values()])
    for case, data in sent.items():
        await ended(shared, data["payment_id"])
        _, failed = await events(shared, topics.PAYMENT_EVENTS, data["payment_id"])
        assert (failed["event_type"], failed["event_version"]) == ("PaymentFailed", 2), case
        assert failed["data"]["reason"] == IMPOSSIBLE[case][0]
        saga = [event["event_type"] for event in await events(shared, topics.SAGA_EVENTS, data["payment_id"])]
        assert saga[-1] == "SagaFailed", case
        assert "WalletDeducted" not in saga, case
    for topic in (topics.PAYMENT_EVENTS, topics.SAGA_EVENTS, topics.WALLET_COMMANDS):
        assert await read(shared, topics.dead_letters(topic)) == []


async def test_a_frozen_wallet_is_paid_and_pays_again_once_it_is_free(shared: LiveSystem) -> None:
    payer, payee = await open_wallet(shared, funds="5.00"), await open_wallet(shared, funds="1.00")
    await command(shared, payee, "freeze")
    assert (await pay(shared, transfer(payer, payee)))["status"] == "completed"
    assert (await pay(shared, transfer(payee, payer)))["reason"] == "wallet_frozen"
    await command(shared, payee, "unfreeze")
    assert (await pay(shared, transfer(payee, payer, "2.00")))["status"] == "completed"


async def test_an_overdraft_can_be_used_to_its_last_cent_and_no_further(shared: LiveSystem) -> None:
    payer = await open_wallet(shared, funds="1.00", overdraft_limits={"EUR": "10.00"})
    payee = await open_wallet(shared)
    assert (await pay(shared, transfer(payer, payee, "11.01")))["reason"] == "insufficient_funds"
    assert (await pay(shared, transfer(payer, payee, "11.00")))["status"] == "completed"
    assert (await pay(shared, transfer(payer, payee, "0.01")))["reason"] == "insufficient_funds"
    status, wallet, _ = await shared.request("GET", f"/v1/wallets/{payer}")
    assert (status, wallet["balances"]["EUR"]["balance"]) == (200, "-10.00")


async def test_of_a_hundred_simultaneous_payments_a_wallet_with_money_for_ten_pays_ten(
    shared: LiveSystem,
) -> None:
    payer, payee = await open_wallet(shared, funds="10.00"), await open_wallet(shared)
    payments = [transfer(payer, payee) for _ in range(100)]
    await send(shared, [record(requested(data)) for data in payments])
    statuses = [(await ended(shared, data["payment_id"]))["status"] for data in payments]
    assert (statuses.count("completed"), statuses.count("failed")) == (10, 90)
    status, wallet, _ = await shared.request("GET", f"/v1/wallets/{payer}")
    assert (status, wallet["balances"]["EUR"]["balance"]) == (200, "0.00")


async def test_in_the_end_everything_reconciles(shared: LiveSystem) -> None:
    reconciled = await shared.document("reconcile")
    assert (reconciled["differences"], reconciled["lagging"]) == ([], {})
