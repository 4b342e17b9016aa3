"""Commands to wallets over HTTP: freeze, unfreeze, close, limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import PaymentId, WalletId
from ledger_streams.domain.wallet_events import BalanceAdded, WalletFrozen
from ledger_streams.ports import Message
from tests.unit.web_stage import OTHER_WALLET, PAYMENT, WALLET, Stage, served


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def test_a_wallet_is_frozen_and_unfrozen_and_closed(stage: Stage) -> None:
    await stage.open()
    for command, status, version in (
        ("freeze", "frozen", 2),
        ("unfreeze", "open", 3),
        ("close", "closed", 4),
    ):
        response = await stage.client.post(f"/v1/wallets/{WALLET}/{command}", json={"reason": "asked"})
        wallet = await response.json()
        assert (response.status, wallet["status"], wallet["version"]) == (200, status, version)
    names = [envelope["event_type"] for envelope in stage.published[1:]]
    assert names == ["FreezeWallet", "UnfreezeWallet", "CloseWallet"]
    assert stage.published[1]["data"] == {"wallet_id": WALLET, "reason": "asked"}


async def test_a_wallet_already_in_the_requested_state_gets_no_command(stage: Stage) -> None:
    await stage.open()
    response = await stage.client.post(f"/v1/wallets/{WALLET}/unfreeze", json={"reason": "x"})
    assert (response.status, (await response.json())["version"]) == (200, 1)
    assert len(stage.published) == 1


async def test_a_wallet_frozen_meanwhile_by_another_caller_counts_as_frozen(stage: Stage) -> None:
    await stage.open()

    async def be_overtaken(message: Message) -> None:
        added = BalanceAdded(WalletId(WALLET), 2, PaymentId(PAYMENT), 1, "EUR", Counterparty.EXTERNAL)
        await stage.happened(added, causation_id=PAYMENT)
        await stage.happened(WalletFrozen(WalletId(WALLET), 3, "police"), causation_id=OTHER_WALLET)
        await stage.carry_out(message)

    stage.publisher.then = be_overtaken
    response = await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"})
    assert (response.status, (await response.json())["version"]) == (200, 3)


async def test_a_closed_wallet_refuses_with_the_reason(stage: Stage) -> None:
    await stage.open()
    await stage.client.post(f"/v1/wallets/{WALLET}/close", json={"reason": "x"})
    response = await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"})
    problem = await response.json(content_type=None)
    assert (response.status, problem["reason"]) == (409, "wallet_closed")


async def test_limits_are_changed(stage: Stage) -> None:
    await stage.open()
    for _ in range(2):
        response = await stage.client.put(
            f"/v1/wallets/{WALLET}/limits", json={"overdraft_limits": {"EUR": "50"}}
        )
        wallet = await response.json()
        assert (response.status, wallet["version"]) == (200, 2)
        assert wallet["balances"]["EUR"]["overdraft_limit"] == "50.00"
    assert stage.published[-1]["data"] == {"wallet_id": WALLET, "overdraft_limits": {"EUR": "50.00"}}
    assert len(stage.published) == 2, "limits that are as asked are not asked for again"


async def test_a_command_without_a_visible_effect_in_time_is_503(stage: Stage) -> None:
    await stage.open()
    stage.publisher.then = None
    stage.projection_wait_s = 0.01
    response = await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json={"reason": "x"})
    assert response.status == 503


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("reason", {}),
        ("reason", {"reason": ""}),
        ("reason", {"reason": 1}),
        ("reason", {"reason": "x" * 501}),
        ("reason", {"reason": "\0"}),
        ("raison", {"reason": "x", "raison": "y"}),
    ],
)
async def test_a_bad_reason_is_named_and_nothing_is_written(
    field: str, body: dict[str, Any], stage: Stage
) -> None:
    await stage.open()
    response = await stage.client.post(f"/v1/wallets/{WALLET}/freeze", json=body)
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, field)
    assert len(stage.published) == 1


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ("overdraft_limits", {}),
        ("overdraft_limits.EUR", {"EUR": "1.234"}),
        ("overdraft_limits.EURO", {"EURO": "1"}),
    ],
)
async def test_bad_limits_are_named(field: str, limits: dict[str, str], stage: Stage) -> None:
    response = await stage.client.put(f"/v1/wallets/{WALLET}/limits", json={"overdraft_limits": limits})
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, field)
