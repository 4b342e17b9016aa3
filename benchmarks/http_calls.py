"""HTTP: payments, batches and balances, requested by wrk as fast as a worker answers.

One worker runs agents and web views, with a projector beside it.  A step waits until every
payment answered with 2xx has ended, and the run ends with a reconciliation.  Responses
other than 2xx are reported and do not fail the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from benchmarks.final_state import check_reconciliation, count_payments, wait_for_final_state
from benchmarks.payments import start_system
from benchmarks.transfers import send_paced, transfers
from benchmarks.usage import Components, shares, since
from benchmarks.wrk import CallTiming, call
from tests.live import LiveSystem

CONNECTIONS: Final = (32, 256)
WAIT: Final = "?wait=30"
BATCH: Final = 100
NOWHERE: Final = "redis://127.0.0.1:1/0"
"""An address without a server, so that balances are read from PostgreSQL."""

LEAD_S: Final = 2.0
"""Duration of the payments' load before balances are requested."""


class HttpTiming(msgspec.Struct):
    """One step: the figures of wrk, and the payments."""

    called: CallTiming
    cores: dict[str, float]
    """CPU use of each component while wrk ran, in cores; wrk counts as generator."""
    accepted_per_s: float | None = None
    """Payments accepted while wrk ran."""
    completed_per_s: float | None = None
    """Payments until the last one was completed in PostgreSQL."""


async def http_calls(
    live: LiveSystem,
    *,
    rate_per_s: float,
    wallets: int = 2_000,
    connections: Sequence[int] = CONNECTIONS,
    seconds: float = 10.0,
) -> dict[str, HttpTiming]:
    """Run each step for `seconds`.

    `rate_per_s` is the payments' load beside the balances; 0 stands for half the rate of the batches.
    """
    ids = await start_system(live, wallets)
    callers = _Callers(live, ids, seconds)
    figures: dict[str, HttpTiming] = {}
    for count in connections:
        figures[f"payments, {count}"] = await callers.payments("payment", connections=count)
        figures[f"payments?wait, {count}"] = await callers.payments("payment", connections=count, query=WAIT)
    figures["batches"] = await callers.payments("batch", connections=8, batch=BATCH)
    beside_per_s = rate_per_s or round((figures["batches"].completed_per_s or 0.0) / 2)
    figures |= await _balances(callers, connections, beside_per_s)
    await check_reconciliation(live)
    return figures


async def _balances(
    callers: _Callers, connections: Sequence[int], rate_per_s: float
) -> dict[str, HttpTiming]:
    """Measure balances with all connections, and beside payments with the smallest number."""
    live = callers.live
    live.ways["api-2"] = {"LEDGER_REDIS": NOWHERE}
    live.start("api", "2")
    await live.ready("2", command="api")
    await callers.warm()
    timed = partial(callers.called, "balance", connections=max(connections))
    now = f"?at={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    figures = {
        "balance, cached": await timed(),
        "balance, no cache": await timed(door="api-2"),
        "balance, at": await timed(query=now),
    }
    beside = f"balance, cached, beside {rate_per_s:g}/s"
    async with callers.payments_at(rate_per_s):
        figures[beside] = await timed(connections=min(connections))
    return figures


class _Callers:
    """Calls of wrk to the workers of a live system."""

    def __init__(self, live: LiveSystem, wallets: Sequence[str], seconds: float) -> None:
        self.live = live
        self._wallets, self._seconds = wallets, seconds

    async def called(self, kind: str, *, door: str = "worker-1", **how: Any) -> HttpTiming:
        """Run wrk against one server."""
        components = Components(self.live)
        before_s, began_s = components.cpu_s(), time.perf_counter()
        base = f"http://127.0.0.1:{self.live.ports[door]}"
        found = await call(base, kind, self._wallets, self.live.settings.home, seconds=self._seconds, **how)
        used_s, took_s = since(before_s, components.cpu_s()), time.perf_counter() - began_s
        return HttpTiming(found, shares(used_s, took_s))

    async def payments(self, kind: str, *, batch: int = 0, **how: Any) -> HttpTiming:
        """Run wrk with payments, and wait until all accepted ones have ended."""
        before, began_s = await count_payments(self.live), time.perf_counter()
        answered = await self.called(kind, run=before.known, batch=batch, **how)
        accepted = answered.called.good * max(1, batch)
        after = await wait_for_final_state(self.live, before.known + accepted)
        answered.accepted_per_s = round(accepted / self._seconds, 1)
        completed = (after.known - before.known) / (time.perf_counter() - began_s)
        answered.completed_per_s = round(completed, 1)
        return answered

    async def warm(self) -> None:
        """Fill the cache with every wallet by requesting each balance."""
        for wallet in self._wallets:
            status, _, _ = await self.live.request("GET", f"/v1/wallets/{wallet}/balance")
            assert status == 200, f"{wallet}: {status}"

    @asynccontextmanager
    async def payments_at(self, rate_per_s: float) -> AsyncIterator[None]:
        """Send payments to Kafka at a rate during the block; wait afterwards until all have ended."""
        before = await count_payments(self.live)
        count = round(rate_per_s * (self._seconds + LEAD_S))
        requests = transfers(count, self._wallets, seed=before.known)
        sending = asyncio.create_task(send_paced(self.live.settings, requests, rate_per_s))
        await asyncio.sleep(LEAD_S)
        yield
        await sending
        await wait_for_final_state(self.live, before.known + count)
