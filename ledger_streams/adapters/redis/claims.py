"""Claims on payment ids in Redis: `claim:<payment_id>` is the fingerprint of the first request.

A claim covers the seconds until the payment is in the read model, across all workers.  It is only a
shortcut for an immediate response: the payments agent keeps every fingerprint and decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from redis import asyncio as aioredis
from redis.exceptions import RedisError

from ledger_streams.dataloader import DataLoader
from ledger_streams.errors import Unavailable

CLAIM_S: Final = 600
"""Time to live of a claim: far above any projection's delay, and bounded for requests never written."""


class RedisClaims:
    """First come, first served, by SET NX GET."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._claims: DataLoader[Mapping[str, str], Mapping[str, str]] = DataLoader(self._claim)

    async def claim(self, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
        """Return the fingerprint that holds each id, this one or an earlier one; one round trip for all."""
        try:
            return await self._claims.load(fingerprints)
        except (RedisError, OSError) as error:
            raise Unavailable(dependency="redis", detail=f"{type(error).__name__}: {error}") from error

    async def _claim(self, asked: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for payment_id, fingerprint in chain.from_iterable(one.items() for one in asked):
                pipeline.set(f"claim:{payment_id}", fingerprint, nx=True, get=True, ex=CLAIM_S)
            earlier = iter(await pipeline.execute())
        return [
            {
                payment_id: holder.decode() if isinstance(holder, bytes) else fingerprint
                for (payment_id, fingerprint), holder in zip(one.items(), earlier, strict=False)
            }
            for one in asked
        ]
