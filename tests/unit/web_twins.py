"""In-memory twins of the services of the web views; the names in `away` are unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ledger_streams.errors import Unavailable
from ledger_streams.ports import Message, WalletView
from ledger_streams.testing.memory_balances import MemoryBalances
from ledger_streams.testing.memory_read_model import MemoryReadModel


class SwitchedCache(MemoryBalances):
    def __init__(self, away: set[str]) -> None:
        super().__init__()
        self._away = away

    async def get(self, wallet_id: str) -> WalletView | None:
        check_here("redis", self._away)
        return await super().get(wallet_id)

    async def learn_epoch(self) -> str:
        check_here("redis", self._away)
        return await super().learn_epoch()

    async def put(self, wallets: Sequence[WalletView], epoch: str | None = None) -> None:
        check_here("redis", self._away)
        await super().put(wallets, epoch)


class SwitchedReadModel(MemoryReadModel):
    """Away at the first question of any request, whichever it is."""

    def __init__(self, away: set[str]) -> None:
        super().__init__()
        self._away = away

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "write":
            check_here("postgres", self._away)
        return super().__getattribute__(name)


class MemoryClaims:
    def __init__(self, away: set[str]) -> None:
        self.held: dict[str, str] = {}
        self._away = away

    async def claim(self, fingerprints: Mapping[str, str]) -> Mapping[str, str]:
        check_here("redis", self._away)
        return {key: self.held.setdefault(key, fingerprint) for key, fingerprint in fingerprints.items()}


class MemoryPublisher:
    def __init__(self, away: set[str]) -> None:
        self.published: list[Message] = []
        self.then: Callable[[Message], Awaitable[None]] | None = None
        self._away = away

    async def publish(self, messages: Sequence[Message]) -> None:
        check_here("kafka", self._away)
        if "kafka's answers" in self._away:
            await asyncio.Event().wait()
        self.published.extend(messages)
        for message in messages:
            if self.then is not None:
                await self.then(message)


def check_here(dependency: str, away: set[str]) -> None:
    if dependency in away:
        raise Unavailable(dependency=dependency, detail="tcp://10.0.0.7 refused")
