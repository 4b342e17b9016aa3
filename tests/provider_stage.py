"""A provider on the loopback for tests: the simulator's server in this process, and a client of it.

async with provider(tmp_path, error_share=1) as stage:
    await stage.providers.carry_out(ACME, order())
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from ledger_streams.adapters.providers.http import HttpProviders
from ledger_streams.local.provider_simulator.book import Book
from ledger_streams.local.provider_simulator.faults import Behaviour
from ledger_streams.local.provider_simulator.server import ProviderServer
from ledger_streams.ports import ProviderOrder, Providers
from tests.projected import new_id

ACME = "acme"


def order(key: str | None = None, **changes: str) -> ProviderOrder:
    content = {"payment_id": new_id(), "kind": "deposit", "amount": "10.25", "currency": "EUR"} | changes
    return ProviderOrder(key or new_id(), **content)


@dataclass
class ProviderStage:
    """A provider's address, the client under test, and the provider's own word."""

    url: str
    providers: Providers

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Ask the provider past the client."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}{path}", data=body) as answer,
        ):
            return answer.status, await answer.json()

    async def status(self, key: str) -> str | None:
        """Return what its book says of the key."""
        code, shown = await self.ask("GET", f"/payments/{key}")
        return shown["status"] if code == 200 else None

    async def effective(self) -> list[str]:
        """Return the keys that have an effect."""
        _, shown = await self.ask("GET", "/book?keys=1")
        return [payment["key"] for payment in shown["keys"]]


@asynccontextmanager
async def client(url: str, *, timeout_ms: float = 5_000, calls_max: int = 8) -> AsyncIterator[Providers]:
    """A started client of the provider at the URL."""
    providers = HttpProviders({ACME: url}, timeout_ms=timeout_ms, calls_max=calls_max)
    await providers.start()
    try:
        yield providers
    finally:
        await providers.close()


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve the application; yield its URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def simulator(folder: Path, name: str = "book", **behaviour: Any) -> AsyncIterator[str]:
    """The simulator's server with this behaviour (else quick and without faults); yields its URL."""
    book = Book(folder / f"{name}.sqlite3")
    try:
        async with serving(ProviderServer(book, Behaviour(**({"latency_ms": 0} | behaviour))).app()) as url:
            yield url
    finally:
        book.close()


@asynccontextmanager
async def provider(
    folder: Path, *, timeout_ms: float = 5_000, **behaviour: Any
) -> AsyncIterator[ProviderStage]:
    """The simulator with this behaviour and a client of it."""
    async with (
        simulator(folder, **behaviour) as url,
        client(url, timeout_ms=timeout_ms) as providers,
    ):
        yield ProviderStage(url, providers)
