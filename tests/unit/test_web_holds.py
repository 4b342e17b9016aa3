"""Holds over HTTP: made once, returned in their current state, released."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import HoldId, PaymentId, WalletId
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, FundsHeld, HoldCaptured
from ledger_streams.ports import Message
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, WALLET, Stage, served

NS = uuid5(NAMESPACE_URL, "ledger-streams")
HOLD = "dddddddd-0000-4000-8000-000000000001"
HOLDS = f"/v1/wallets/{WALLET}/holds"
RELEASE = f"{HOLDS}/{HOLD}/release"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A wallet with 10.00 EUR."""
    async with served(Stage()) as stage:
        await stage.open()
        added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 1000, "EUR", Counterparty.EXTERNAL)
        await stage.happened(added, causation_id=PAYMENT)
        yield stage


def hold(**changes: object) -> dict[str, Any]:
    """Four euros under HOLD; a change to None leaves the field out."""
    body = {"hold_id": HOLD, "amount": "4", "currency": "EUR"} | changes
    return {name: value for name, value in body.items() if value is not None}


async def asked(stage: Stage, body: dict[str, Any], path: str = HOLDS, **options: Any) -> tuple[int, Any]:
    response = await stage.client.post(path, json=body, **options)
    return response.status, await response.json(content_type=None)


async def available(stage: Stage) -> str:
    response = await stage.client.get(f"/v1/wallets/{WALLET}/balance")
    text: str = (await response.json())["balances"][0]["available"]
    return text


async def captured(stage: Stage, amount_minor: int, left_minor: int) -> None:
    """Let a payment take money out of HOLD."""
    wallet_id, version = WalletId(WALLET), stage.wallets[WALLET].version
    money = (amount_minor, "EUR")
    deducted = BalanceDeducted(
        wallet_id, version + 1, PaymentId(PAYMENT), *money, Counterparty.EXTERNAL, HoldId(HOLD)
    )
    taken = HoldCaptured(wallet_id, version + 2, HoldId(HOLD), *money, PaymentId(PAYMENT), left_minor)
    await stage.happened(deducted, causation_id=OTHER_WALLET)
    await stage.happened(taken, causation_id=OTHER_WALLET)


async def test_money_is_held_once_and_shown_in_its_current_state(stage: Stage) -> None:
    money = {"amount": "4.00", "currency": "EUR"}
    shown = {"wallet_id": WALLET, "hold_id": HOLD, **money, "payment_id": None, "expires_at": None}
    response = await stage.client.post(HOLDS, json=hold(reason="room 12"))
    assert (response.status, await response.json()) == (201, shown)
    assert response.headers["Location"] == f"{HOLDS}/{HOLD}"
    assert await available(stage) == "6.00"
    assert await asked(stage, hold(amount="4.00", hold_id=HOLD.upper())) == (200, shown)
    assert [envelope["event_type"] for envelope in stage.published] == ["OpenWallet", "HoldFunds"]
    data = stage.published[1]["data"]
    assert data == {**hold(amount="4.00"), "wallet_id": WALLET, "reason": "room 12"}
    listed = await stage.client.get(HOLDS)
    assert await listed.json() == {"wallet_id": WALLET, "holds": [shown]}
    assert await (await stage.client.get(f"{HOLDS}/{HOLD}")).json() == shown


@pytest.mark.parametrize(
    "change", [{"amount": "5"}, {"expires_in_s": 60}, {"expires_at": "2027-01-01T00:00:00Z"}]
)
async def test_another_hold_under_the_same_id_is_a_mismatch(change: dict[str, Any], stage: Stage) -> None:
    await asked(stage, hold())
    status, problem = await asked(stage, hold(**change))
    assert (status, problem["reason"]) == (409, "duplicate_mismatch")


async def test_an_ended_hold_is_not_created_again(stage: Stage) -> None:
    await asked(stage, hold())
    for taken, left, shown in ((150, 250, "2.50"), (250, 0, "0.00")):
        await captured(stage, taken, left)
        status, answer = await asked(stage, hold())
        assert (status, answer["amount"], answer["hold_id"]) == (200, shown, HOLD)
    assert len(stage.published) == 2
    assert await (await stage.client.get(HOLDS)).json() == {"wallet_id": WALLET, "holds": []}


async def test_without_an_id_the_idempotency_key_gives_it_or_it_is_new(stage: Stage) -> None:
    headers = {"Idempotency-Key": "room 12"}
    for expected in (201, 200):
        status, answer = await asked(stage, hold(hold_id=None, expires_in_s=60), headers=headers)
        assert (status, answer["hold_id"]) == (expected, str(uuid5(NS, "hold:anonymous:room 12")))
    ids = {(await asked(stage, hold(hold_id=None, amount="1")))[1]["hold_id"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_hold_may_end_at_a_time_or_in_so_many_seconds(stage: Stage) -> None:
    status, answer = await asked(stage, hold(expires_at="2026-11-25T00:00:00.123456+01:00"))
    assert (status, answer["expires_at"]) == (201, "2026-11-24T23:00:00.123000Z")
    again = hold(expires_at="2026-11-24T23:00:00.123Z")
    assert (await asked(stage, again))[0] == 200
    status, answer = await asked(stage, hold(hold_id=OTHER_WALLET, expires_in_s=90))
    assert (status, answer["expires_at"]) == (201, "2026-11-24T22:01:30.000000Z")


async def test_a_hold_is_refused_for_insufficient_funds_another_currency_or_a_frozen_wallet(
    stage: Stage,
) -> None:
    status, problem = await asked(stage, hold(amount="10.01"))
    assert (status, problem["reason"]) == (409, "insufficient_funds")
    assert problem["detail"] == "Insufficient funds: 10.01 EUR asked, 10.00 available (overdraft 0.00)."
    status, problem = await asked(stage, hold(currency="USD"))
    assert (status, problem["reason"], problem["detail"]) == (
        409,
        "currency_mismatch",
        "The wallet has no USD.",
    )
    await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "lost card"})
    status, problem = await asked(stage, hold())
    assert (status, problem["reason"]) == (409, "wallet_frozen")
    assert problem["detail"] == "The wallet is frozen."


@pytest.mark.parametrize(("amount_minor", "expected"), [(400, 200), (399, 409)])
async def test_a_hold_of_this_id_made_meanwhile_by_another_caller_is_returned(
    amount_minor: int, expected: int, stage: Stage
) -> None:
    async def be_overtaken(message: Message) -> None:
        held = FundsHeld(WalletId(WALLET), 3, HoldId(HOLD), amount_minor, "EUR", None, None)
        await stage.happened(held, causation_id=OTHER_WALLET)
        await stage.carry_out(message)

    stage.publisher.then = be_overtaken
    assert (await asked(stage, hold()))[0] == expected


async def test_the_rest_of_a_hold_is_released_once(stage: Stage) -> None:
    await asked(stage, hold())
    await captured(stage, 150, 250)
    for body in ({"reason": "checked out"}, {}, None):
        options: Any = {} if body is None else {"json": body}
        response = await stage.client.post(RELEASE, **options)
        assert (response.status, (await response.json())["amount"]) == (200, "0.00")
    assert await available(stage) == "8.50"
    assert [envelope["event_type"] for envelope in stage.published[1:]] == ["HoldFunds", "ReleaseHold"]
    assert stage.published[-1]["data"] == {"wallet_id": WALLET, "hold_id": HOLD, "reason": "checked out"}


async def test_a_hold_captured_during_its_release_counts_as_released(stage: Stage) -> None:
    await asked(stage, hold())

    async def be_overtaken(message: Message) -> None:
        await captured(stage, 400, 0)
        await stage.carry_out(message)

    stage.publisher.then = be_overtaken
    status, answer = await asked(stage, {}, RELEASE)
    assert (status, answer["amount"]) == (200, "0.00")


async def test_a_payments_hold_is_shown_and_no_caller_can_release_it(stage: Stage) -> None:
    held = FundsHeld(WalletId(WALLET), 3, HoldId(HOLD), 400, "EUR", PaymentId(HOLD), None)
    await stage.happened(held, causation_id=HOLD)
    (shown,) = (await (await stage.client.get(HOLDS)).json())["holds"]
    assert shown["payment_id"] == HOLD
    assert (await asked(stage, {}, RELEASE))[0] == 404
    status, problem = await asked(stage, hold())
    assert (status, problem["reason"]) == (409, "duplicate_mismatch")


@pytest.mark.parametrize("wallet_id", [OTHER_WALLET, "nobody"])
async def test_a_missing_wallet_holds_nothing(wallet_id: str, stage: Stage) -> None:
    path = f"/v1/wallets/{wallet_id}/holds"
    assert (await stage.client.get(path)).status == 404
    assert (await asked(stage, hold(), path))[0] == 404
    assert (await asked(stage, {}, f"{path}/{HOLD}/release"))[0] == 404
    assert len(stage.published) == 1


async def test_a_wallet_that_holds_money_is_not_closed(stage: Stage) -> None:
    await asked(stage, hold(amount="10"))
    status, problem = await asked(stage, {"reason": "moved away"}, f"/v1/wallets/{WALLET}/close")
    assert (status, problem["reason"]) == (409, "not_empty")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("amount", {"amount": None}),
        ("amount", {"amount": "0"}),
        ("amount", {"amount": "1.001"}),
        ("currency", {"currency": "EURO"}),
        ("hold_id", {"hold_id": "x"}),
        ("reason", {"reason": ""}),
        ("expires_in_s", {"expires_in_s": 0}),
        ("expires_in_s", {"expires_in_s": 1, "expires_at": "2027-01-01T00:00:00Z"}),
        ("expires_at", {"expires_at": "2026-11-24T22:00:00Z"}),
        ("expires_at", {"expires_at": "2126-11-24T22:00:00Z"}),
        ("expires_at", {"expires_at": "2027-01-01"}),
        ("expires", {"expires": "2027-01-01T00:00:00Z"}),
    ],
)
async def test_bad_content_is_named_and_nothing_is_written(
    field: str, change: dict[str, Any], stage: Stage
) -> None:
    status, problem = await asked(stage, hold(**change))
    assert (status, problem["field"]) == (422, field)
    assert len(stage.published) == 1
