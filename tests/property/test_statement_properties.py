"""Statements of random histories: opening plus movements equals closing, with any jumps of the clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger_streams.domain.commands import WalletCommand
from ledger_streams.domain.ids import derived_id
from ledger_streams.domain.wallet import Wallet, evolve
from ledger_streams.domain.wallet_decisions import decide
from ledger_streams.domain.wallet_events import WalletEvent, WalletOpened
from tests.model.samples import SOURCE, USER
from tests.property.test_wallet_properties import histories, is_sent
from tests.unit.web_stage import NOW, Stage
from web.wallets.statements import Statement, StatementQuery, statement

SPAN_S = 60
seconds = st.integers(-3, 5)
bounds = st.lists(st.integers(0, SPAN_S), min_size=2, max_size=2, unique=True).map(sorted)
limits = st.integers(1, 7)


def happened(commands: list[WalletCommand]) -> list[WalletEvent]:
    """Return the events of a wallet of two currencies to which these commands are sent."""
    opened = WalletOpened(SOURCE, 1, USER, ("EUR", "JPY"), {"EUR": 900, "JPY": 50})
    events: list[WalletEvent] = [opened]
    wallet: Wallet = evolve(None, opened)
    for command in commands:
        for event in decide(wallet, command).events if is_sent(wallet, command) else ():
            wallet = evolve(wallet, event)
            events.append(event)
    return events


async def told(events: list[WalletEvent], steps_s: list[int]) -> Stage:
    """Project the events, each so many seconds after the one before, or before it."""
    stage = Stage()
    for number, event in enumerate(events):
        stage.clock += timedelta(seconds=steps_s[number % len(steps_s)] - 1 if number else 0)
        await stage.happened(event, causation_id=derived_id(str(number)))
    return stage


async def pages(stage: Stage, asked: StatementQuery) -> tuple[Statement, list[Statement]]:
    """Return the first page, and all of them."""
    found = [await statement(stage.services(), asked)]
    while (after := found[-1].next) is not None:
        following = StatementQuery(asked.wallet_id, asked.since, asked.to, asked.currency, after, asked.limit)
        found.append(await statement(stage.services(), following))
    return found[0], found


@given(histories, st.lists(seconds, min_size=1), bounds, limits, st.sampled_from([None, "EUR", "JPY"]))
def test_opening_plus_movements_equals_closing(
    commands: list[WalletCommand], steps_s: list[int], bound: list[int], limit: int, currency: str | None
) -> None:
    async def check() -> None:
        stage = await told(happened(commands), steps_s)
        since, to = (NOW + timedelta(seconds=second + 2) for second in bound)
        first, found = await pages(stage, StatementQuery(SOURCE, since, to, currency, None, limit))
        movements = [movement for page in found for movement in page.movements]
        assert [m.version for m in movements] == sorted({m.version for m in movements})
        assert all(len(page.movements) == limit for page in found[:-1])
        for sums in first.sums or ():
            balance = Decimal(sums.opening)
            amounts = [Decimal(m.amount) for m in movements if m.currency == sums.currency]
            for movement in movements:
                if movement.currency == sums.currency:
                    balance += Decimal(movement.amount)
                    assert str(balance) == movement.balance
            assert str(balance) == sums.closing
            assert Decimal(sums.total_in) == sum(amount for amount in amounts if amount > 0)
            assert Decimal(sums.total_out) == -sum(amount for amount in amounts if amount < 0)
            assert sums.movements == len(amounts)

    asyncio.run(check())


@given(histories, st.lists(seconds, min_size=1), bounds)
def test_two_consecutive_statements_equal_one_over_both_periods(
    commands: list[WalletCommand], steps_s: list[int], bound: list[int]
) -> None:
    async def check() -> None:
        stage = await told(happened(commands), steps_s)
        begin, middle = NOW, NOW + timedelta(seconds=bound[0] + 2)
        end = middle + timedelta(seconds=bound[1])

        async def versions(since: timedelta, to: timedelta) -> list[int]:
            asked = StatementQuery(SOURCE, begin + since, begin + to, limit=1000)
            return [movement.version for movement in (await statement(stage.services(), asked)).movements]

        halves = [await versions(timedelta(0), middle - begin), await versions(middle - begin, end - begin)]
        assert halves[0] + halves[1] == await versions(timedelta(0), end - begin)

    asyncio.run(check())
