"""The live auditor finds planted errors, one after the other, in a system that was correct before."""

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
from tests.fault.fault_scenario import FaultScenario
from tests.fault.nemeses import name_of
from tests.fault.testbed import Testbed, open_testbed
from tests.model.live_system import OUTCOMES, LiveModel
from tests.soak.__main__ import conclude, soak

Plant = Callable[[Testbed], Awaitable[None]]


async def a_second_outcome(testbed: Testbed) -> None:
    """As a worker would write it that carries a payment out twice: another event, the same payment."""
    kept = await last_outcome(testbed)
    again = msgspec.json.encode(msgspec.json.decode(kept.value) | {"event_id": new_id()})
    await send(testbed.live, [(kept.key, again)])


async def the_same_event_again(testbed: Testbed) -> None:
    kept = await last_outcome(testbed)
    await send(testbed.live, [(kept.key, kept.value)])


async def a_letter_of_nobody(testbed: Testbed) -> None:
    letters = topics.dead_letters(topics.PAYMENT_EVENTS)
    kept = (await read(testbed.live, letters))[-1]
    async with AIOKafkaProducer(bootstrap_servers=testbed.live.settings.kafka) as producer:
        name = testbed.live.settings.topic(letters)
        await producer.send_and_wait(name, kept.value, key=kept.key, headers=[*kept.headers])


async def a_cent_in_a_snapshot(testbed: Testbed) -> None:
    await testbed.live.rows(
        "UPDATE wallet_snapshots SET balances = jsonb_set(balances, '{EUR,available}', '\"0.01\"')"
        " WHERE wallet_id = (SELECT wallet_id FROM wallet_snapshots WHERE balances ? 'EUR' LIMIT 1)"
    )


async def a_posting_less(testbed: Testbed) -> None:
    await testbed.live.forge(
        "DELETE FROM postings WHERE (event_id, leg) = (SELECT event_id, leg FROM postings LIMIT 1)"
    )


async def an_order_too_many(testbed: Testbed) -> None:
    with closing(sqlite3.connect(testbed.live.settings.home / "provider.sqlite3")) as book, book:
        book.execute(
            "INSERT INTO payments VALUES (?, ?, 'deposit', 1, 'EUR', 'approved', 'by hand')",
            (new_id(), new_id()),
        )


async def another_balance_in_the_cache(testbed: Testbed) -> None:
    async with aioredis.Redis.from_url(testbed.live.settings.redis) as redis:
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


async def last_outcome(testbed: Testbed) -> Any:
    """Return the record of a payment's end."""
    kept = await read(testbed.live, topics.PAYMENT_EVENTS)
    return next(one for one in reversed(kept) if any(end.encode() in (one.value or b"") for end in OUTCOMES))


@pytest.mark.timeout(300)
async def test_the_auditor_finds_every_planted_error_and_none_before(
    servers: Settings, tmp_path: Path
) -> None:
    async with open_testbed(servers, tmp_path) as testbed, aclosing(LiveModel(testbed.live)) as model:
        scenario = FaultScenario(testbed, model, seed=1_993)
        await scenario.open()
        await scenario.send(STEPS)
        assert await scenario.faults() == []
        for plant, told in PLANTS:
            before = set(await scenario.faults())
            await plant(testbed)
            await model.settle()
            found = set(await scenario.faults()) - before
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
