"""Comparison of log, PostgreSQL, Redis and RocksDB, wallet by wallet.

It is safe on a running system: it waits for the projector first, compares contents of equal
versions only, and looks again at differences that a write in progress would explain.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres import reconciliation as postgres_reconcile
from ledger_streams.adapters.postgres.parked_views import parked_records
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.log_reader import KafkaLog, Partition, opened_log
from ledger_streams.kafka_settings import client_options
from ledger_streams.ports import WalletView
from ledger_streams.reconciliation.wallets import (
    LogCheck,
    WalletState,
    cache_differences,
    drop_caught_up,
    parked_differences,
    totals,
)
from ledger_streams.settings import Settings

PROJECTED: Final = (topics.WALLET_EVENTS, topics.PAYMENT_EVENTS, topics.SAGA_EVENTS)
LOOK_EVERY_S: Final = 0.3
CACHE_LOOKS: Final = 5
"""Number of further looks at differences of the cache, which the projector writes after PostgreSQL."""
CACHE_AT_ONCE: Final = 100
LOG_LOOKS: Final = 10
"""Number of further looks for table values that the log lacks; the log grows while tables are read."""
STATEMENT_S_MAX: Final = 3_600.0


class Reconciliation(msgspec.Struct, frozen=True):
    """Counts of the compared data, and all differences; the fields are the JSON keys."""

    wallets: int
    cached: int
    totals: dict[str, str]
    lagging: dict[str, int]
    """Unread records of partitions on which the projector lags: `{"topic[partition]": records}`."""
    table_partitions: int
    differences: list[Difference]

    @property
    def exit_code(self) -> int:
        """Return 0 if everything was compared and agrees."""
        return 1 if self.differences or self.lagging else 0


async def compare(config: Settings, *, wait_s: float, rocksdb: bool) -> Reconciliation:
    """Compare all balances of the system of `config`."""
    pool = await create_pool(config.postgres, statement_timeout_s=STATEMENT_S_MAX)
    try:
        async with opened_log(client_options(config)) as log:
            lagging = await _caught_up(log, pool, config, wait_s)
            ends = await log.ends([config.topic(topics.WALLET_EVENTS)])
            projected_to = {} if lagging else await _projected_to(pool, ends)
            views = await snapshots(pool)
            parked = await parked_records(pool, ended=True)
            projected = {partition: projected_to.get(partition, 0) for partition in ends}
            check = LogCheck(views, projected, parked)
            ends = await log.ends([config.topic(topics.WALLET_EVENTS)])
            async for partition, records in log.read(ends):
                check.add(partition, records)
        cached, in_cache = await _cache(pool, config)
        found = [*parked_differences(parked), *check.differences(), *in_cache]
        found += await postgres_reconcile.differences(pool)
    finally:
        await close_within("postgres", pool.close())
    partitions = 0
    if rocksdb:
        from ledger_streams.reconciliation.rocksdb_tables import compare_tables  # noqa: PLC0415 (Faust, and only if asked for)

        partitions, in_tables, ahead = compare_tables(config.home, check.last)
        found += [*in_tables, *await _ahead_of_log(config, ahead, ends)]
    return Reconciliation(len(views), cached, totals(views.values()), lagging, partitions, found)


async def _ahead_of_log(
    config: Settings, ahead: dict[str, WalletState], ends: Mapping[Partition, int]
) -> list[Difference]:
    """Look for table values that the log up to `ends` lacks in later records; return those not found.

    A worker writes its table when a commit is acknowledged, and readers see it a little later.
    """
    found: list[Difference] = []
    for _ in range(LOG_LOOKS):
        if not ahead:
            break
        await asyncio.sleep(LOOK_EVERY_S)
        async with opened_log(client_options(config)) as log:
            further = await log.ends([config.topic(topics.WALLET_EVENTS)])
            async for _partition, records in log.read(further, begin=ends):
                found += drop_caught_up(ahead, records)
            ends = further
    details = {wallet_id: f"the log has no version {state.version}" for wallet_id, state in ahead.items()}
    return found + [Difference("table_is_in_log", *missing) for missing in details.items()]


async def _projected_to(pool: Pool, ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """Return the projector's offsets; snapshots that are read later include them."""
    positions = await PostgresSink(pool).positions(list(ends))
    return {partition: positions.get(partition) or 0 for partition in ends}


async def _caught_up(log: KafkaLog, pool: Pool, config: Settings, wait_s: float) -> dict[str, int]:
    """Wait for the projector to reach the current ends of the topics; return the records still unread."""
    ends = await log.ends([config.topic(name) for name in PROJECTED])
    give_up_at_s = time.monotonic() + wait_s
    while True:
        unread = await _unread(log, pool, ends)
        if not unread or time.monotonic() >= give_up_at_s:
            return unread
        await asyncio.sleep(LOOK_EVERY_S)


async def _unread(log: KafkaLog, pool: Pool, ends: Mapping[Partition, int]) -> dict[str, int]:
    """Count the records after the projector's offsets; transaction markers do not count."""
    positions = await PostgresSink(pool).positions(list(ends))
    begin = {partition: positions.get(partition) or 0 for partition in ends}
    left = {partition: end for partition, end in ends.items() if begin[partition] < end}
    counts: dict[str, int] = {}
    if left:
        async for (topic, number), records in log.read(left, begin=begin):
            name = f"{topic}[{number}]"
            counts[name] = counts.get(name, 0) + len(records)
    return counts


async def _cache(pool: Pool, config: Settings) -> tuple[int, list[Difference]]:
    """Compare the cache with the snapshots; return the number of cached wallets and lasting differences."""
    redis = connect(config.redis)
    try:
        cache = RedisBalances(redis, ttl_s=config.balance_ttl_s)
        views = await snapshots(pool)
        cached = await _cached(cache, list(views))
        found = cache_differences(views, cached)
        for _ in range(CACHE_LOOKS):
            if not found:
                break
            await asyncio.sleep(LOOK_EVERY_S)
            suspects = sorted({difference.subject.split()[0] for difference in found})
            again = await snapshots(pool, suspects)
            found = cache_differences(again, await _cached(cache, suspects))
        return len(cached), found
    finally:
        await close_within("redis", redis.aclose())


async def _cached(cache: RedisBalances, wallet_ids: list[str]) -> dict[str, WalletView]:
    found: dict[str, WalletView] = {}
    for first in range(0, len(wallet_ids), CACHE_AT_ONCE):
        some = wallet_ids[first : first + CACHE_AT_ONCE]
        views = await asyncio.gather(*(cache.get(wallet_id) for wallet_id in some))
        found.update((view.wallet_id, view) for view in views if view is not None)
    return found
