"""Retry of the parked records of a payment or wallet."""

from __future__ import annotations

import msgspec

from ledger_streams.adapters.postgres.parked_views import (
    parked_partitions,
)
from ledger_streams.adapters.postgres.parking import PostgresParking
from ledger_streams.adapters.postgres.pool import Pool, open_pool
from ledger_streams.adapters.postgres.sink import PostgresSink
from ledger_streams.adapters.postgres.snapshots import snapshots
from ledger_streams.adapters.redis.balances import RedisBalances, connect
from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.settings import Settings


class RetryResult(msgspec.Struct, frozen=True):
    """Result of a retry; the fields are the JSON keys."""

    aggregate_id: str
    records: int
    cached: bool
    """False if Redis is down: the cached balance is old until `replay cache` or the next event."""


async def retry_aggregate(config: Settings, aggregate_id: str) -> RetryResult:
    """Project an aggregate's parked records on each of its topics; raises Rejected if one fails again."""
    from ledger_streams.recovery.parked_parts import part_of  # noqa: PLC0415 (it imports Faust)

    count = 0
    async with open_pool(config.postgres) as pool:
        parking = PostgresParking(PostgresSink(pool))
        for partition in await parked_partitions(pool, aggregate_id):
            count += await parking.retry(partition, aggregate_id, lambda record: part_of(config, record))
        return RetryResult(aggregate_id, count, cached=await _refresh_cache(config, pool, aggregate_id))


async def _refresh_cache(config: Settings, pool: Pool, wallet_id: str) -> bool:
    """Write the wallet's snapshot to the cache; return False if Redis is down."""
    redis = connect(config.redis)
    try:
        views = await snapshots(pool, [wallet_id])
        await RedisBalances(redis, ttl_s=config.balance_ttl_s).put(list(views.values()))
    except Unavailable:
        return False
    finally:
        await close_within("redis", redis.aclose())
    return True
