"""That the live auditor would see it: a system that is well, and then wrong in one way after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from redis import asyncio as aioredis

from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.e2e.outside import new_id, read, send
from tests.fault.fault_scenario import Ordeal
from tests.fault.nemeses import name_of
from tests.fault.testbed import Stage, staged
from tests.model.live_system import OUTCOMES, LiveModel
from tests.soak.__main__ import conclude, soak

Plant = Callable[[Stage], Awaitable[None]]


async def a_second_outcome(stage: Stage) -> None:
    """As a worker would write it that carries a payment out twice: another event, the same payment."""
    kept = await last_outcome(stage)
    again = msgspec.json.encode(msgspec.json.decode(kept.value) | {"event_id": new_id()})
    await send(stage.live, [(kept.key, again)])


async def the_same_event_again(stage: Stage) -> None:
    kept = await last_outcome(stage)
    await send(stage.live, [(kept.key, kept.value)])


async def a_letter_of_nobody(stage: Stage) -> None:
    letters = topics.dead_letters(topics.PAYMENT_EVENTS)
    kept = (await read(stage.live, letters))[-1]
    async with AIOKafkaProducer(bootstrap_servers=stage.live.settings.kafka) as producer:
        name = stage.live.settings.topic(letters)
        await producer.send_and_wait(name, kept.value, key=kept.key, headers=[*kept.headers])


async def a_cent_in_a_snapshot(stage: Stage) -> None:
    await stage.live.rows(
        "UPDATE wallet_snapshots SET balances = jsonb_set(balances, '{EUR,available}', '\"0.01\"')"
        " WHERE wallet_id = (SELECT wallet_id FROM wallet_snapshots WHERE balances ? 'EUR' LIMIT 1)"
    )


async def a_posting_less(stage: Stage) -> None:
    await stage.live.forge(
        "DELETE FROM postings WHERE (event_id, leg) = (SELECT event_id, leg FROM postings LIMIT 1)"
    )


async def an_order_too_many(stage: Stage) -> None:
    with closing(sqlite3.connect(stage.live.settings.home / "provider.sqlite3")) as book, book:
        book.execute(
            "INSERT INTO payments VALUES (?, ?, 'deposit', 1, 'EUR', 'approved', 'by hand')",
            (new_id(), new_id()),
        )


async def another_balance_in_the_cache(stage: Stage) -> None:
    async with aioredis.Redis.from_url(stage.live.settings.redis) as redis:
        name = next(iter(await redis.keys("wallet:*")))
        cached = msgspec.json.decode(await redis.get(name) or b"")
        for funds in cached["balances"].values():
            funds["available"] = "123456.78"
        await redis.set(name, msgspec.json.encode(cached), ex=300)


STEPS: Final = 300
PLANTS: Final[tuple[tuple[Plant, str], ...]] = (
    (a_cent_in_a_snapshot, "completed payments make"),
    (another_balance_in_the_cache, "reconcile: "),
    (a_posting_less, "postings in "),
    (an_order_too_many, "the provider has Booked"),
    (a_letter_of_nobody, "dead letter too many"),
    (a_second_outcome, "2 outcomes of payment"),
    (the_same_event_again, "was written twice"),
)


async def last_outcome(stage: Stage) -> Any:
    """Return the record of a payment's end."""
    kept = await read(stage.live, topics.PAYMENT_EVENTS)
    return next(one for one in reversed(kept) if any(end.encode() in (one.value or b"") for end in OUTCOMES))


@pytest.mark.timeout(300)
async def test_every_wrong_that_is_planted_is_found_and_nothing_before(
    servers: Settings, tmp_path: Path
) -> None:
    async with staged(servers, tmp_path) as stage, aclosing(LiveModel(stage.live)) as model:
        ordeal = Ordeal(stage, model, seed=1_993)
        await ordeal.open()
        await ordeal.send(STEPS)
        assert await ordeal.faults() == []
        for plant, told in PLANTS:
            before = set(await ordeal.faults())
            await plant(stage)
            await model.settle()
            found = set(await ordeal.faults()) - before
            assert any(told in fault for fault in found), f"{name_of(plant)}: {found}"


@pytest.mark.timeout(300)
async def test_a_soak_ends_at_the_first_difference_with_the_seed_and_exit_code_1(
    servers: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = await soak(servers, tmp_path, minutes=60, seed=7, nemeses=(an_order_too_many,))
    assert ["the provider has" in fault for row in rows for fault in row.faults] == [True]
    with pytest.raises(SystemExit) as ended:
        conclude(rows, tmp_path, seed=7)
    assert str(ended.value).startswith(f"seed 7 found, logs in {tmp_path}:\nthe provider has")
    assert "an order too many" in capsys.readouterr().out
    assert list(tmp_path.iterdir())  # noqa: ASYNC240  # one look
