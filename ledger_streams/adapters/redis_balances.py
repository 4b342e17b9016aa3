"""The cache of wallets in Redis: `wallet:<wallet_id>` is the wallet's JSON, with a time to live.

A script compares versions where the value is, so of any two writers, a late
projector and a reader that fills the cache, the newer version stays.  Each call of
it touches one key, as a cluster asks.  What guards a version goes with it when the
key expires: a filler slower than that could put an old one back, for one time to live.

Who ask in the same moment are answered by one round trip: a call of the client's own costs
four times what a command in a pipeline does, and a fifth of what a balance over HTTP takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

import msgspec
from redis import asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from ledger_streams.errors import Unavailable
from ledger_streams.ports import WalletView
from ledger_streams.together import Together

_PUT: Final = (files("ledger_streams.adapters") / "redis_put_newer.lua").read_text(encoding="utf-8")
_PUT_SHA1: Final = hashlib.sha1(_PUT.encode(), usedforsecurity=False).hexdigest()
ANSWER_S_MAX: Final = 1.0
"""A cache that takes longer than this is away: PostgreSQL answers sooner."""


CONNECTIONS_MAX: Final = 32
"""Of one process; who comes when all are in use waits for one, as long as for an answer."""


def connect(url: str) -> aioredis.Redis:
    """Return a client of the Redis at `url`; it connects when it is first used.

    Its callers wait for each other: a client that refused those beyond its connections would
    make a Redis that is well look away to them.
    """
    waits = {"socket_timeout": ANSWER_S_MAX, "socket_connect_timeout": ANSWER_S_MAX}
    pool = aioredis.BlockingConnectionPool.from_url(
        url, max_connections=CONNECTIONS_MAX, timeout=ANSWER_S_MAX, **waits
    )
    return aioredis.Redis.from_pool(pool)


class RedisBalances:
    """`ports.BalanceCache` on Redis."""

    def __init__(self, redis: aioredis.Redis, *, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_ms = int(ttl_s * 1000)
        self._decoder = msgspec.json.Decoder(WalletView)
        self._reads: Together[str, bytes | None] = Together(self._read)
        self._writes: Together[Sequence[WalletView], None] = Together(self._write)

    async def get(self, wallet_id: str) -> WalletView | None:
        """Return the cached wallet, or None."""
        with _away_as_unavailable():
            cached = await self._reads.ask(wallet_id)
        return None if cached is None else self._decoder.decode(cached)

    async def put(self, wallets: Sequence[WalletView]) -> None:
        """Store all in one round trip, each unless a newer version is there."""
        if wallets:
            with _away_as_unavailable():
                await self._writes.ask(wallets)

    async def _read(self, wallet_ids: Sequence[str]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for wallet_id in wallet_ids:
                pipeline.get(_key(wallet_id))
            found: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        return found

    async def _write(self, asked: Sequence[Sequence[WalletView]]) -> Sequence[None]:
        wallets = [wallet for one in asked for wallet in one]
        try:
            await self._put(wallets)
        except NoScriptError:  # a Redis that was restarted; what did go through may go through again
            await self._redis.script_load(_PUT)
            await self._put(wallets)
        return [None] * len(asked)

    async def _put(self, wallets: Sequence[WalletView]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for wallet in wallets:
                value = msgspec.json.encode(wallet)
                pipeline.evalsha(_PUT_SHA1, 1, _key(wallet.wallet_id), wallet.version, value, self._ttl_ms)
            await pipeline.execute()


def _key(wallet_id: str) -> str:
    return f"wallet:{wallet_id}"


@contextmanager
def _away_as_unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(dependency="redis", detail=f"{type(error).__name__}: {error}") from error
