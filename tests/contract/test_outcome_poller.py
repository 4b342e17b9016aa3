"""Waiting for outcomes: one query for all waiting callers, none without a caller."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from ledger_streams.adapters.outcomes import OutcomePoller
from ledger_streams.errors import Unavailable
from ledger_streams.ports import Outcome
from ledger_streams.testing.memory_read_model import MemoryReadModel
from tests.projected import Story, new_id


class CountingReadModel(MemoryReadModel):
    """Notes each query of outcomes, and is away for the first `away` of them."""

    def __init__(self, away: int = 0) -> None:
        super().__init__()
        self.asked: list[Sequence[str]] = []
        self.away = away
        self.asked_thrice = asyncio.Event()

    async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
        self.asked.append(payment_ids)
        if len(self.asked) == 3:
            self.asked_thrice.set()
        if len(self.asked) <= self.away:
            raise Unavailable(dependency="postgres", detail="in a test")
        return await super().outcomes(payment_ids)


def ended(story: Story, wallet_id: str) -> str:
    """Tell of a deposit to its end, the saga's last step included."""
    payment_id = story.deposit(wallet_id, 100)
    story.payment_event(payment_id, "SagaCompleted", 2, {})
    return payment_id


async def test_one_query_serves_all_waiting_callers() -> None:
    story, read_model = Story(), CountingReadModel()
    wallet_id = story.open()
    payments = [ended(story, wallet_id) for _ in range(50)]
    await read_model.write(story.batch())
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        found = await asyncio.gather(*(watch.wait(payment, 5) for payment in [*payments, payments[0]]))
    assert [outcome and outcome.payment.payment_id for outcome in found] == [*payments, payments[0]]
    assert len(read_model.asked) == 1


async def test_a_later_outcome_is_returned() -> None:
    story, read_model = Story(), CountingReadModel()
    payment_id = ended(story, story.open())
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        waiting = asyncio.create_task(watch.wait(payment_id, 5))
        await read_model.asked_thrice.wait()
        await read_model.write(story.batch())
        assert await waiting is not None


async def test_an_outcome_is_returned_only_with_all_its_steps() -> None:
    story, read_model = Story(), CountingReadModel()
    payment_id = story.deposit(story.open(), 100)
    await read_model.write(story.batch())
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        waiting = asyncio.create_task(watch.wait(payment_id, 5))
        await read_model.asked_thrice.wait()
        assert not waiting.done()
        story.payment_event(payment_id, "SagaCompleted", 2, {})
        await read_model.write(story.batch())
        outcome = await waiting
    assert outcome is not None
    assert [step.event_type for step in outcome.payment.steps] == [
        "PaymentRequested",
        "SagaCompleted",
        "PaymentCompleted",
    ]


async def test_a_waiter_gets_none_after_its_time_and_queries_stop() -> None:
    read_model = CountingReadModel()
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        assert await watch.wait(new_id(), 0.02) is None
        asked = len(read_model.asked)
        await asyncio.sleep(0.02)
        assert len(read_model.asked) <= asked + 1


async def test_waiters_survive_an_unavailable_read_model(caplog: pytest.LogCaptureFixture) -> None:
    story, read_model = Story(), CountingReadModel(away=1)
    payment_id = ended(story, story.open())
    await read_model.write(story.batch())
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        assert await watch.wait(payment_id, 5) is not None
    assert "postgres is not available" in caplog.text


async def test_a_failed_query_fails_its_waiters_and_the_next_ones_get_their_outcomes() -> None:
    class FailsOnce(CountingReadModel):
        async def outcomes(self, payment_ids: Sequence[str]) -> Mapping[str, Outcome]:
            if not self.asked:
                self.asked.append(payment_ids)
                raise KeyError("nobody foresaw it")
            return await super().outcomes(payment_ids)

    story, read_model = Story(), FailsOnce()
    payment_id = ended(story, story.open())
    await read_model.write(story.batch())
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        with pytest.raises(Unavailable, match="looking for outcomes failed"):
            await watch.wait(payment_id, 5)
        assert await watch.wait(payment_id, 5) is not None


async def test_the_poller_returns_a_wallet_as_soon_as_it_is_projected() -> None:
    story, read_model = Story(), MemoryReadModel()
    wallet_id = story.open()
    async with OutcomePoller(read_model, interval_ms=1) as watch:
        assert await watch.wait_for_wallet(wallet_id, lambda view: view.version >= 1, 0.01) is None
        waiting = asyncio.create_task(watch.wait_for_wallet(wallet_id, lambda view: view.version >= 1, 5))
        await read_model.write(story.batch())
        wallet = await waiting
    assert wallet is not None
    assert wallet.version == 1
