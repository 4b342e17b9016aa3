"""Wallets over HTTP: opening, reading, and their events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from ledger_streams.ports import Message
from tests.unit.web_stage import OTHER_WALLET, USER, WALLET, Stage, served

NS = uuid5(NAMESPACE_URL, "ledger-streams")
OPENING: dict[str, Any] = {"wallet_id": WALLET, "user_id": USER, "currencies": ["EUR"]}
EMPTY = {"available": "0.00", "held": "0.00", "balance": "0.00", "overdraft_limit": "0.00"}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with served(Stage()) as stage:
        yield stage


async def test_a_wallet_is_opened_and_shown(stage: Stage) -> None:
    body = OPENING | {"currencies": ["EUR", "JPY"], "overdraft_limits": {"EUR": "100.5"}}
    response = await stage.client.post("/v1/wallets", json=body)
    assert response.status == 201
    assert response.headers["Location"] == f"/v1/wallets/{WALLET}"
    wallet = await response.json()
    yen = {"available": "0", "held": "0", "balance": "0", "overdraft_limit": "0"}
    assert wallet == {
        "wallet_id": WALLET,
        "user_id": USER,
        "status": "open",
        "version": 1,
        "balances": {"EUR": EMPTY | {"overdraft_limit": "100.50"}, "JPY": yen},
        "as_of": "2026-11-24T22:00:01.000000Z",
    }
    assert await (await stage.client.get(f"/v1/wallets/{WALLET.upper()}")).json() == wallet
    response = await stage.client.get(f"/v1/users/{USER}/wallets")
    assert await response.json() == {"user_id": USER, "wallets": [wallet], "next": None}


async def test_opening_is_written_as_a_command(stage: Stage) -> None:
    await stage.open()
    (message,), (envelope,) = stage.publisher.published, stage.published
    assert (message.topic, message.key) == ("t-wallet-commands", WALLET)
    assert envelope["event_type"] == "OpenWallet"
    assert (envelope["aggregate_id"], envelope["correlation_id"]) == (WALLET, WALLET)
    assert envelope["data"] == OPENING | {"overdraft_limits": {"EUR": "0.00"}}


async def test_opening_again_with_the_same_content_is_200_and_not_written(stage: Stage) -> None:
    await stage.open(currencies=["EUR", "JPY"])
    same = OPENING | {"currencies": ["JPY", "EUR"], "overdraft_limits": {"EUR": "0"}, "user_id": USER.upper()}
    response = await stage.client.post("/v1/wallets", json=same)
    assert (response.status, (await response.json())["version"]) == (200, 1)
    assert len(stage.published) == 1


@pytest.mark.parametrize(
    "change", [{"user_id": OTHER_WALLET}, {"currencies": ["JPY"]}, {"overdraft_limits": {"EUR": "0.01"}}]
)
async def test_opening_again_with_other_content_is_409(change: dict[str, Any], stage: Stage) -> None:
    await stage.open()
    response = await stage.client.post("/v1/wallets", json=OPENING | change)
    assert response.status == 409
    assert len(stage.published) == 1


async def test_of_two_simultaneous_openings_one_opens_the_wallet(stage: Stage) -> None:
    held: list[Message] = []

    async def hold(message: Message) -> None:
        held.append(message)

    stage.publisher.then = hold
    requests = [
        asyncio.create_task(stage.client.post("/v1/wallets", json=body))
        for body in (OPENING, OPENING, OPENING | {"currencies": ["JPY"]})
    ]
    while len(held) < len(requests):  # noqa: ASYNC110 - all have to be written before the first is carried out
        await asyncio.sleep(0)
    for message in held:
        await stage.carry_out(message)
    statuses = [(await request).status for request in requests]
    euros = sorted(statuses[:2])
    assert (euros, statuses[2]) in [([200, 201], 409), ([409, 409], 201)]


async def test_without_a_wallet_id_the_idempotency_key_gives_it(stage: Stage) -> None:
    body = {"user_id": USER, "currencies": ["EUR"]}
    for status in (201, 200):
        response = await stage.client.post("/v1/wallets", json=body, headers={"Idempotency-Key": "k"})
        assert response.status == status
        assert (await response.json())["wallet_id"] == str(uuid5(NS, "wallet:anonymous:k"))
    ids = {(await (await stage.client.post("/v1/wallets", json=body)).json())["wallet_id"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_wallet_not_opened_in_time_is_503(stage: Stage) -> None:
    stage.publisher.then = None
    stage.projection_wait_s = 0.01
    response = await stage.client.post("/v1/wallets", json=OPENING)
    assert (response.status, response.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("wallet_id", {"wallet_id": "42"}),
        ("wallet_id", {"wallet_id": 42}),
        ("user_id", {"user_id": "me"}),
        ("user_id", {"user_id": None}),
        ("currencies", {"currencies": []}),
        ("currencies", {"currencies": ["EUR", "EUR"]}),
        ("currencies", {"currencies": "EUR"}),
        ("currencies[0]", {"currencies": [978]}),
        ("currencies[1]", {"currencies": ["EUR", "eur"]}),
        ("overdraft_limits", {"overdraft_limits": []}),
        ("overdraft_limits", {"overdraft_limits": {"EUR": 100}}),
        ("overdraft_limits.EUR", {"overdraft_limits": {"EUR": "-1"}}),
        ("overdraft_limits.EUR", {"overdraft_limits": {"EUR": "0.001"}}),
        ("overdraft_limits.JPY", {"overdraft_limits": {"JPY": "1"}}),
        ("owner", {"owner": USER}),
        ("user_id", {"user_id": USER + "\0"}),
    ],
)
async def test_a_bad_opening_is_named_and_not_written(
    field: str, change: dict[str, Any], stage: Stage
) -> None:
    response = await stage.client.post("/v1/wallets", json=OPENING | change)
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, field)
    assert stage.published == []


async def test_a_missing_field_is_named(stage: Stage) -> None:
    response = await stage.client.post("/v1/wallets", json={"user_id": USER})
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"], problem["detail"]) == (422, "currencies", "is missing")


async def test_events_come_in_pages(stage: Stage) -> None:
    await stage.open()
    for command in ("freeze", "unfreeze"):
        await stage.client.post(f"/v1/wallets/{WALLET}/{command}", json={"reason": "x"})
    path, pages = f"/v1/wallets/{WALLET}/events", []
    after: int | None = 0
    while after is not None:
        page = await (await stage.client.get(path, params={"after_version": after, "limit": 2})).json()
        pages.append([event["event_version"] for event in page["events"]])
        after = page["next"]
    assert pages == [[1, 2], [3]]
    beyond = await (await stage.client.get(path, params={"after_version": 3})).json()
    assert beyond == {"events": [], "next": None}


async def test_events_come_in_pages_from_the_newest_on(stage: Stage) -> None:
    await stage.open()
    for command in ("freeze", "unfreeze"):
        await stage.client.post(f"/v1/wallets/{WALLET}/{command}", json={"reason": "x"})
    path, pages = f"/v1/wallets/{WALLET}/events", []
    before: int | None = 1_000_000
    while before is not None:
        page = await (await stage.client.get(path, params={"before_version": before, "limit": 2})).json()
        pages.append([event["event_version"] for event in page["events"]])
        before = page["next"]
    assert pages == [[3, 2], [1]]
    both = await stage.client.get(path, params={"before_version": 3, "after_version": 1})
    assert (both.status, (await both.json(content_type=None))["field"]) == (422, "before_version")


async def test_an_event_is_an_envelope_with_the_state_after_it(stage: Stage) -> None:
    await stage.open()
    page = await (await stage.client.get(f"/v1/wallets/{WALLET}/events")).json()
    (event,) = page["events"]
    assert event["event_type"] == "WalletOpened"
    assert event["causation_id"] == stage.published[0]["event_id"]
    assert event["wallet"]["balances"] == {"EUR": EMPTY}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "1.0", ""])
async def test_a_limit_out_of_bounds_is_named(limit: str, stage: Stage) -> None:
    response = await stage.client.get(f"/v1/wallets/{WALLET}/events", params={"limit": limit})
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, "limit")
    assert problem["detail"] == "must be an integer from 1 to 1000"


@pytest.mark.parametrize("version", ["-1", "9223372036854775808", "9" * 5000, "x"])
async def test_a_version_out_of_bounds_is_named(version: str, stage: Stage) -> None:
    response = await stage.client.get(f"/v1/wallets/{WALLET}/events", params={"after_version": version})
    problem = await response.json(content_type=None)
    assert (response.status, problem["field"]) == (422, "after_version")


async def test_a_key_with_another_wallet_id_is_422(stage: Stage) -> None:
    body = {"user_id": USER, "currencies": ["EUR"], "wallet_id": WALLET}
    response = await stage.client.post("/v1/wallets", json=body, headers={"Idempotency-Key": "first"})
    assert (response.status, (await response.json(content_type=None))["field"]) == (422, "wallet_id")
    assert stage.published == []


async def test_a_users_wallets_are_pages_by_id(stage: Stage) -> None:
    ids = [f"bbbbbbbb-0000-4000-8000-{number:012}" for number in range(5)]
    for wallet_id in reversed(ids):
        await stage.open(wallet_id)
    path, seen, after = f"/v1/users/{USER}/wallets", list[str](), dict[str, str]()
    while True:
        page = await (await stage.client.get(path, params={"limit": "2", **after})).json()
        seen += [wallet["wallet_id"] for wallet in page["wallets"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == ids
    last = await stage.client.get(path, params={"after": ids[-1]})
    assert (last.status, (await last.json())["wallets"]) == (200, [])
    for field, value in (
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "x"),
        ("after", "x"),
        ("status", "open"),
    ):
        response = await stage.client.get(path, params={field: value})
        assert (response.status, (await response.json(content_type=None))["field"]) == (422, field)
    assert (await stage.client.get(f"/v1/users/{WALLET}/wallets", params={"after": WALLET})).status == 404
