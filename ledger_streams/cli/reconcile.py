"""`reconcile`: does everything that knows a balance know the same balance?

log           the last wallet-events record of each wallet, which mirrors the table
PostgreSQL    no parked records; snapshots = sums of wallet_events = sums of postings; postings sum to zero
Redis         where a wallet is cached
RocksDB       the tables of workers on this machine, with --rocksdb
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Final

import click
import msgspec

from ledger_streams import topics
from ledger_streams.adapters.postgres import reconciliation
from ledger_streams.adapters.postgres.parked_views import parked_records
from ledger_streams.adapters.postgres.pool import Pool, create_pool
from ledger_streams.adapters.postgres.reconciliation import Difference
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.cli.output import awaited, say_json, table
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
from ledger_streams.settings import Settings, settings

PROJECTED: Final = (topics.WALLET_EVENTS, topics.PAYMENT_EVENTS, topics.SAGA_EVENTS)
LOOK_EVERY_S: Final = 0.3
CACHE_LOOKS: Final = 5
"""What differs in the cache is looked at again: the projector writes it after PostgreSQL."""
CACHE_AT_ONCE: Final = 100
LOG_LOOKS: Final = 10
"""What a table has beyond the log is looked for again: it moves on while the tables are read."""
STATEMENT_S_MAX: Final = 3_600.0


class Reconciliation(msgspec.Struct, frozen=True):
    """What was compared and what differs."""

    wallets: int
    cached: int
    totals: dict[str, str]
    lagging: dict[str, int]
    """Partitions that the projector had not read to the end: `{"topic[partition]": records}`."""
    table_partitions: int
    differences: list[Difference]

    @property
    def exit_code(self) -> int:
        """Return 0 when everything was compared and agrees."""
        return 1 if self.differences or self.lagging else 0


@click.command()
@click.option(
    "--wait", "wait_s", default=30.0, show_default=True, help="Seconds for the projector to catch up."
)
@click.option(
    "--rocksdb",
    is_flag=True,
    help="Compare the tables of workers too, which must be below LEDGER_HOME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(wait_s: float, rocksdb: bool, as_json: bool) -> None:
    """Compare the log, PostgreSQL and Redis, wallet by wallet; exit 1 when anything differs.

    It first waits for the projector to reach the log's end, and says what lags if it does not.
    Safe beside a living system: content is compared at equal versions only.
    """
    result = awaited(compare(settings(), wait_s=wait_s, rocksdb=rocksdb))
    if as_json:
        say_json(result)
    else:
        click.echo(result_text(result))
    sys.exit(result.exit_code)


async def compare(config: Settings, *, wait_s: float, rocksdb: bool) -> Reconciliation:
    """Compare everything on the system of `config`."""
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
        found += await reconciliation.differences(pool)
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
    """Look for states of tables that were not in the log up to `ends` in what has come since.

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
    """Return how far the projector is, which the snapshots read afterwards include."""
    positions = await PostgresSink(pool).positions(list(ends))
    return {partition: positions.get(partition) or 0 for partition in ends}


async def _caught_up(log: KafkaLog, pool: Pool, config: Settings, wait_s: float) -> dict[str, int]:
    """Wait for the projector to reach where the topics end now; return what is still unread in the end."""
    ends = await log.ends([config.topic(name) for name in PROJECTED])
    give_up_at_s = time.monotonic() + wait_s
    while True:
        unread = await _unread(log, pool, ends)
        if not unread or time.monotonic() >= give_up_at_s:
            return unread
        await asyncio.sleep(LOOK_EVERY_S)


async def _unread(log: KafkaLog, pool: Pool, ends: Mapping[Partition, int]) -> dict[str, int]:
    """Count the records from the projector's positions on; what only markers are left of is read."""
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
    """Compare the cache with the snapshots; return how many are cached, and what stays different."""
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


def result_text(result: Reconciliation) -> str:
    """Return the result for people."""
    compared = f"{result.wallets:,} wallets in log and PostgreSQL, {result.cached:,} of them in Redis"
    if result.table_partitions:
        compared += f", {result.table_partitions} partitions of RocksDB"
    parts = [f"Compared {compared}."]
    if result.totals:
        parts.append(
            table(
                "All wallets",
                ("currency", "sum of balances"),
                [*result.totals.items()],
                numbers=("sum of balances",),
            )
        )
    if result.lagging:
        rows = [*result.lagging.items()]
        parts.append(
            table("The projector has not read", ("partition", "records"), rows, numbers=("records",))
        )
    if result.differences:
        rows_different = [(found.kind, found.subject, found.detail) for found in result.differences]
        parts.append(
            table(f"DIFFERENCES: {len(rows_different):,}", ("rule", "of", "figures"), rows_different)
        )
    elif not result.lagging:
        parts.append("No differences.")
    return "\n\n".join(parts)
