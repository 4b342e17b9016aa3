"""Statements over HTTP: opening, movements and closing by page, and invalid parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger_streams.domain.commands import Counterparty
from ledger_streams.domain.ids import HoldId, PaymentId, WalletId, derived_id
from ledger_streams.domain.wallet_events import BalanceAdded, BalanceDeducted, FundsHeld
from tests.unit.web_stage import PAYMENT, WALLET, Stage, check_golden, deposit, served

PATH = f"/v1/wallets/{WALLET}/statement"
FROM, TO = "2026-11-24T22:00:03Z", "2026-11-24T22:00:05Z"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Open at 22:00:01, then a second each: 5.00 in, 2.00 out, 3 yen in, 1.00 held, 0.50 in."""
    wallet, out = WalletId(WALLET), PaymentId(derived_id("out"))
    async with served(Stage()) as stage:
        await stage.open(currencies=["JPY", "EUR"])
        await stage.requested(deposit())
        for event in (
            BalanceAdded(wallet, 2, PaymentId(PAYMENT), 500, "EUR", Counterparty.EXTERNAL),
            BalanceDeducted(wallet, 3, out, 200, "EUR", Counterparty.TRANSIT),
            BalanceAdded(wallet, 4, PaymentId(PAYMENT), 3, "JPY", Counterparty.EXTERNAL),
            FundsHeld(wallet, 5, HoldId(derived_id("hold")), 100, "EUR", None, None),
            BalanceAdded(wallet, 6, PaymentId(PAYMENT), 50, "EUR", Counterparty.EXTERNAL),
        ):
            await stage.happened(event, causation_id=derived_id(str(event.version)))
        yield stage


async def read(stage: Stage, **parameters: object) -> tuple[int, Any]:
    response = await stage.client.get(PATH, params={name: str(value) for name, value in parameters.items()})
    return response.status, await response.json(content_type=None)


def sums(currency: str, *amounts: str, movements: int) -> dict[str, Any]:
    names = ("opening", "total_in", "total_out", "closing")
    return {"currency": currency, **dict(zip(names, amounts, strict=True)), "movements": movements}


async def test_a_period_is_from_a_time_on_and_before_another(stage: Stage) -> None:
    status, page = await read(stage, **{"from": FROM, "to": TO})
    assert status == 200
    assert page["sums"] == [
        sums("EUR", "5.00", "0.00", "2.00", "3.00", movements=1),
        sums("JPY", "0", "3", "0", "3", movements=1),
    ]
    found = [(m["version"], m["type"], m["amount"], m["balance"]) for m in page["movements"]]
    assert found == [(3, "BalanceDeducted", "-2.00", "3.00"), (4, "BalanceAdded", "3", "3")]
    bounds = ("2026-11-24T22:00:03.000000Z", "2026-11-24T22:00:05.000000Z", None)
    assert (page["from"], page["to"], page["next"]) == bounds


async def test_a_movement_names_its_payment(stage: Stage) -> None:
    _, page = await read(stage, limit=1)
    (movement,) = page["movements"]
    assert (movement["kind"], movement["payment_id"]) == ("deposit", PAYMENT)
    assert movement["occurred_at"] == "2026-11-24T22:00:02.000000Z"
    assert movement["counterparty"] is None


async def test_without_bounds_it_is_of_everything_so_far(stage: Stage) -> None:
    _, page = await read(stage, currency="EUR")
    assert page["sums"] == [sums("EUR", "0.00", "5.50", "2.00", "3.50", movements=3)]
    assert [movement["version"] for movement in page["movements"]] == [2, 3, 6]
    assert (page["from"], page["to"]) == (None, "2026-11-24T22:00:06.000001Z")


async def test_pages_go_on_by_version_and_the_first_alone_has_sums(stage: Stage) -> None:
    _, first = await read(stage, limit=3)
    _, second = await read(stage, limit=3, to=first["to"], after=first["next"])
    assert [movement["version"] for movement in first["movements"]] == [2, 3, 4]
    assert [movement["version"] for movement in second["movements"]] == [6]
    assert (len(first["sums"]), second["sums"], second["next"]) == (2, None, None)


async def test_a_page_cannot_leave_its_period(stage: Stage) -> None:
    _, page = await read(stage, **{"from": FROM, "to": TO, "after": 0})
    assert [movement["version"] for movement in page["movements"]] == [3, 4]
    _, beyond = await read(stage, **{"from": FROM, "to": TO, "after": 5})
    assert (beyond["movements"], beyond["next"]) == ([], None)


async def test_a_quiet_period_has_the_same_balance_twice(stage: Stage) -> None:
    _, page = await read(stage, **{"from": "2030-01-01T00:00:00Z", "currency": "EUR"})
    assert page["sums"] == [sums("EUR", "3.50", "0.00", "0.00", "3.50", movements=0)]
    assert page["movements"] == []


async def test_a_period_may_begin_before_the_wallet_and_not_end_before_it(stage: Stage) -> None:
    status, page = await read(stage, **{"from": "0001-01-01T00:00:00Z", "to": "2026-11-24T22:00:02Z"})
    assert (status, page["movements"], page["sums"][0]["opening"]) == (200, [], "0.00")
    assert page["from"] == "0001-01-01T00:00:00.000000Z"
    status, problem = await read(stage, to="2026-11-24T22:00:01Z")
    assert status == 404
    check_golden("before_it_was_open", problem)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"from": "today"}, "from"),
        ({"to": "2026-11-24"}, "to"),
        ({"from": TO, "to": TO}, "to"),
        ({"from": TO, "to": FROM}, "to"),
        ({"currency": "euro"}, "currency"),
        ({"after": "-1"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"at": TO}, "at"),
    ],
)
async def test_an_invalid_parameter_of_a_statement_is_named(
    parameters: dict[str, str], field: str, stage: Stage
) -> None:
    status, problem = await read(stage, **parameters)
    assert (status, problem["field"]) == (422, field)


async def test_a_currency_that_is_not_held_and_a_wallet_that_is_not_there_are_404(stage: Stage) -> None:
    status, problem = await read(stage, currency="USD")
    assert (status, problem["detail"]) == (404, "The wallet does not hold USD.")
    for path in (PATH.replace(WALLET, PAYMENT), PATH.replace(WALLET, "none")):
        assert (await stage.client.get(path)).status == 404
