"""Cache upkeep: the cache is complete after an outage, with any rebalances in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from faust.types import TP

from ledger_streams.engine.cache_upkeep import CacheUpkeep
from ledger_streams.ports import WalletView
from tests.unit.web_twins import SwitchedCache

TOPIC = "wallet-events"
ONE, OTHER = TP(TOPIC, 0), TP(TOPIC, 1)
NO_TOPIC_OF_WALLETS = TP("saga-events", 0)


def wallet(version: int, wallet_id: str = "w") -> WalletView:
    return WalletView(wallet_id, "u", "open", version, {}, "2026-11-24T22:00:00.000000Z")


class Positions:
    """PostgreSQL's dirty wallets and cached offsets by partition; a cleared `hold` delays a query."""

    def __init__(self) -> None:
        self.dirty: dict[int, list[WalletView]] = {}
        self.marks: dict[tuple[str, int], int] = {}
        self.asked = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    async def dirty_wallets(self, topic: str, partition: int) -> list[WalletView]:
        self.asked.set()
        await self.hold.wait()
        return self.dirty.get(partition, [])

    async def mark_cached(self, offsets: Mapping[tuple[str, int], int]) -> None:
        self.marks |= offsets


class Stage:
    def __init__(self) -> None:
        self.away: set[str] = set()
        self.cache = SwitchedCache(self.away)
        self.positions = Positions()
        self.upkeep = CacheUpkeep(self.positions, self.cache, topic=TOPIC)

    async def cached(self, wallet_id: str = "w") -> int | None:
        view = await self.cache.get(wallet_id)
        return None if view is None else view.version


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_partition_that_a_rebalance_adds_during_a_catch_up_does_not_end_the_watch(
    stage: Stage,
) -> None:
    await stage.upkeep.take_over({ONE: 5, NO_TOPIC_OF_WALLETS: 9})
    stage.positions.hold.clear()
    stage.positions.asked.clear()
    added = asyncio.create_task(stage.upkeep.take_over({ONE: 5, OTHER: None}))
    await stage.positions.asked.wait()
    looked = asyncio.create_task(stage.upkeep.catch_up())
    stage.positions.hold.set()
    await asyncio.gather(added, looked)
    assert stage.positions.marks == {(TOPIC, 0): 5, (TOPIC, 1): 0}


async def test_a_catch_up_after_a_rebalance_repairs_an_outage_of_the_cache(stage: Stage) -> None:
    await stage.upkeep.take_over({ONE: 5})
    await stage.upkeep.take_over({ONE: 5, OTHER: 3})
    stage.away.add("redis")
    await stage.upkeep.put([wallet(8)], {OTHER: 4}, epoch=stage.cache.epoch)
    stage.positions.dirty[1] = [wallet(8)]
    await stage.upkeep.catch_up()
    assert stage.positions.marks[TOPIC, 1] == 3
    stage.away.clear()
    await stage.upkeep.catch_up()
    assert (await stage.cached(), stage.positions.marks[TOPIC, 1]) == (8, 4)


async def test_nothing_is_marked_cached_while_another_catch_up_is_writing_it(stage: Stage) -> None:
    stage.positions.dirty[0] = [wallet(3)]
    stage.positions.hold.clear()
    takeover = asyncio.create_task(stage.upkeep.take_over({ONE: 5}))
    await stage.positions.asked.wait()
    await stage.upkeep.put([wallet(1, "x")], {ONE: 6}, epoch=stage.cache.epoch)
    look = asyncio.create_task(stage.upkeep.catch_up())
    stage.away.add("redis")
    stage.positions.hold.set()
    await asyncio.gather(takeover, look)
    assert stage.positions.marks == {}
    stage.away.clear()
    await stage.upkeep.catch_up()
    assert (await stage.cached(), stage.positions.marks) == (3, {(TOPIC, 0): 6})
