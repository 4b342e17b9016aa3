"""The cache of wallets in Redis: `wallet:<wallet_id>` is the wallet's JSON, with a time to live.

A Lua script compares versions on the server, so the newer version stays whichever of two writers (a
late projector, a reader that fills the cache) is last.  Each call touches one key, as Redis Cluster
requires.  An expired key loses its version: a writer slower than the time to live could store an old
version again, for one time to live.

Each entry has the epoch (`epoch.py`) in which it was known to be the newest: the one that the writer
saw before it read the wallet in PostgreSQL.  A reader ignores an entry of another epoch than the
server's: a Redis restored from an older file or a lagging replica has outdated entries.  Such an
entry still keeps older versions out.

Concurrent reads share one round trip (data loader): a call of the client costs four times as much as
a command in a pipeline, and a fifth of a balance over HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec
from redis import asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from ledger_streams.adapters.redis.epoch import answer_with_epoch, ask_epoch, epoch_in
from ledger_streams.adapters.redis.unwritten import UnwrittenWallets
from ledger_streams.dataloader import DataLoader
from ledger_streams.errors import Unavailable
from ledger_streams.ports import WalletView

_PUT: Final = (files("ledger_streams.adapters.redis") / "put_newer.lua").read_text(encoding="utf-8")
_PUT_SHA1: Final = hashlib.sha1(_PUT.encode(), usedforsecurity=False).hexdigest()
ANSWER_S_MAX: Final = 1.0
"""Timeout of a call; PostgreSQL answers faster than a slower cache."""


CONNECTIONS_MAX: Final = 32
"""Connections of one process; when all are in use, a caller waits for one up to the timeout."""


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


class _Entry(WalletView, frozen=True):
    """A cached wallet with its epoch."""

    epoch: str = ""


class RedisBalances:
    """`ports.BalanceCache` on Redis."""

    def __init__(self, redis: aioredis.Redis, *, ttl_s: float) -> None:
        answer_with_epoch(redis)
        self._redis = redis
        self._ttl_ms = int(ttl_s * 1000)
        self._decoder = msgspec.json.Decoder(_Entry)
        self._reads: DataLoader[str, tuple[bytes | None, str]] = DataLoader(self._read)
        self._writes: DataLoader[_Write, None] = DataLoader(self._write)
        self._unwritten = UnwrittenWallets(ttl_s=ttl_s)
        self._epoch = ""

    @property
    def epoch(self) -> str:
        """The epoch in the last reply of the server; empty before the first."""
        return self._epoch

    async def learn_epoch(self) -> str:
        """Query the current epoch."""
        with _translate_connection_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                ask_epoch(pipeline)
                (answer,) = await pipeline.execute()
            self._epoch = epoch_in(answer)
        return self._epoch

    async def get(self, wallet_id: str) -> WalletView | None:
        """Return the cached wallet, or None."""
        with _translate_connection_errors():
            cached, epoch = await self._reads.load(wallet_id)
        if cached is None:
            return None
        entry = self._decoder.decode(cached)
        return None if entry.epoch != epoch or self._unwritten.outdates(entry) else _view(entry)

    async def put(self, wallets: Sequence[WalletView], epoch: str | None = None) -> None:
        """Store all in one round trip, each unless a newer version is there."""
        if not wallets:
            return
        try:
            known_in = (self._epoch or await self.learn_epoch()) if epoch is None else epoch
            with _translate_connection_errors():
                await self._writes.load(_Write(wallets, known_in))
        except BaseException:  # also a caller that gives up: its wallets may not be there
            self._unwritten.note(wallets)
            raise
        self._unwritten.written(wallets)

    async def _read(self, wallet_ids: Sequence[str]) -> Sequence[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for wallet_id in wallet_ids:
                pipeline.get(_key(wallet_id))
            ask_epoch(pipeline)
            *found, answer = await pipeline.execute(raise_on_error=False)
        epoch = self._epoch = epoch_in(answer)
        return [one if isinstance(one, Exception) else (one, epoch) for one in found]

    async def _write(self, writes: Sequence[_Write]) -> Sequence[None]:
        entries = [_entry(wallet, write.epoch) for write in writes for wallet in write.wallets]
        try:
            await self._put(entries)
        except NoScriptError:  # a Redis that was restarted; what did go through may go through again
            await self._redis.script_load(_PUT)
            await self._put(entries)
        return [None] * len(writes)

    async def _put(self, entries: Sequence[_Entry]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                arguments = (entry.version, msgspec.json.encode(entry), self._ttl_ms, entry.epoch)
                pipeline.evalsha(_PUT_SHA1, 1, _key(entry.wallet_id), *arguments)
            ask_epoch(pipeline)
            *_, answer = await pipeline.execute()
        self._epoch = epoch_in(answer)


class _Write(NamedTuple):
    """Wallets to store, and the epoch in which they were known to be the newest."""

    wallets: Sequence[WalletView]
    epoch: str


def _entry(wallet: WalletView, epoch: str) -> _Entry:
    return _Entry(**_fields(wallet), epoch=epoch)


def _view(entry: _Entry) -> WalletView:
    return WalletView(**_fields(entry))


def _fields(wallet: WalletView) -> dict[str, Any]:
    return {name: getattr(wallet, name) for name in WalletView.__struct_fields__}


def _key(wallet_id: str) -> str:
    return f"wallet:{wallet_id}"


@contextmanager
def _translate_connection_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(dependency="redis", detail=f"{type(error).__name__}: {error}") from error
