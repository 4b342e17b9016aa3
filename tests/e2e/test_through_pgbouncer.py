"""A system whose workers and projector reach PostgreSQL only through PgBouncer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ledger_streams.adapters.postgres.pool import open_connection
from ledger_streams.settings import Settings
from tests.bouncer import bouncer
from tests.e2e.outside import balance, new_id, open_wallet, pay, record, requested, send, transfer
from tests.live import LiveSystem, eventually, running

pytestmark = pytest.mark.slow

SERVERS = """SELECT count(*) AS connections FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
async def bounced(migrated: Settings, tmp_path: Path) -> AsyncIterator[LiveSystem]:
    """One worker and a projector, which have two server connections between them."""
    async with bouncer(migrated, tmp_path, pool_size=2) as settings, running(settings, workers=1) as live:
        yield live


async def test_payments_end_and_callers_at_the_limit_get_retry_after_without_losses(
    bounced: LiveSystem,
) -> None:
    ada, bob = await open_wallet(bounced, funds="100.00"), await open_wallet(bounced)
    assert (await pay(bounced, transfer(ada, bob, "10.25")))["status"] == "completed"

    paid = [transfer(ada, bob, "0.10") for _ in range(200)]
    dsn = bounced.settings.pooled_postgres
    async with open_connection(dsn) as one, one.transaction(), open_connection(dsn) as two, two.transaction():
        await asyncio.gather(one.execute("SELECT 1"), two.execute("SELECT 1"))
        await send(bounced, [record(requested(payment)) for payment in paid])
        await eventually(lambda: _come_back(bounced), what="a caller is told to come back")
        await eventually(lambda: _pool_is_measured(bounced), what="the metrics show the pool")
        assert await bounced.ended_payments() == 2

    async def all_ended() -> bool:
        return await bounced.ended_payments() == 2 + len(paid)

    async def all_moved() -> bool:
        return [await balance(bounced, wallet) for wallet in (ada, bob)] == ["69.75", "30.25"]

    await eventually(all_ended, what="all payments are projected")
    await eventually(all_moved, what="all wallets are, which another topic tells of")
    assert (await bounced.command("reconcile", "--rocksdb"))[0] == 0
    ((connections,),) = await bounced.rows(SERVERS)
    assert connections <= 2
    assert bounced.processes["projector-1"].exit_code is None, bounced.processes["projector-1"].tail()


async def _come_back(live: LiveSystem) -> bool:
    status, _body, headers = await live.request("GET", f"/v1/payments/{new_id()}")
    return status == 503 and headers["Retry-After"] == "2"


async def _pool_is_measured(live: LiveSystem) -> bool:
    _status, text, _headers = await live.request("GET", "/metrics")
    values: dict[str, Any] = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return (
        float(values["ledger_postgres_acquire_seconds_count"]) > 0
        and float(values['ledger_postgres_connections{state="limit"}']) == 10
    )
