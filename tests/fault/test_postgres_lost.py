"""RUNBOOK.md, "PostgreSQL lost": a backup, the WAL since then, and Kafka restore it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from redis import asyncio as aioredis

from ledger_streams.process_exit import EXIT_SOFTWARE
from ledger_streams.settings import Settings
from tests.e2e.outside import balance, open_wallet, record, requested, send, transfer
from tests.fault.testbed import Testbed, own_servers
from tests.live import LiveSystem, eventually, running
from tests.own_system import own_system

PAYMENTS = 100
RESTORED_S_MAX = 240.0


@pytest.fixture
def servers() -> Iterator[Settings]:
    with own_servers(backups=True) as servers:
        yield servers


@pytest.mark.timeout(600)
async def test_a_lost_postgres_is_restored_to_a_point_in_time_and_catches_up_from_kafka(
    servers: Settings, tmp_path: Path
) -> None:
    async with own_system(servers, tmp_path) as settings, running(settings, workers=1) as live:
        testbed = Testbed(live, servers)
        ada, bob = await open_wallet(live, funds="1000.00"), await open_wallet(live)
        await _pay(live, ada, bob)
        await _said(servers, "backup", "now")
        await _pay(live, ada, bob)
        ((noted,),) = await live.rows("SELECT now()::text")
        seen = await live.ended_payments()
        await _pay(live, ada, bob)
        await _said(servers, "backup", "check")

        await testbed.kill_server("postgres")
        shutil.rmtree((servers.home / "stack" / "postgres" / "data").resolve())
        await send(live, [record(requested(transfer(ada, bob, "0.10"))) for _ in range(PAYMENTS)])
        await _said(servers, "restore", "--to", noted)
        await testbed.servers_up()

        projector = live.processes["projector-1"]
        assert await asyncio.to_thread(projector.wait, RESTORED_S_MAX) == EXIT_SOFTWARE, projector.tail()
        assert await live.ended_payments() == seen
        assert await _cached_version(settings, ada) > await _version(live, ada)
        projector.start()
        await _ended(live, seen + 2 * PAYMENTS)
        code, out, err = await live.command("reconcile", "--rocksdb", "--wait", "60")
        assert code == 0, err + out
        assert [await balance(live, wallet) for wallet in (ada, bob)] == ["960.00", "40.00"]
        assert await _cached_version(settings, ada) == await _version(live, ada)
        (first,) = msgspec.json.decode(await _said(servers, "backup", "list", "--json"))
        assert first["kind"] == "full"


async def _pay(live: LiveSystem, source: str, target: str) -> None:
    """Make payments and wait until PostgreSQL has seen their ends."""
    before = await live.ended_payments()
    await send(live, [record(requested(transfer(source, target, "0.10"))) for _ in range(PAYMENTS)])
    await _ended(live, before + PAYMENTS)


async def _ended(live: LiveSystem, payments: int) -> None:
    async def have_ended() -> bool:
        return await live.ended_payments() == payments

    await eventually(have_ended, what=f"{payments} payments have ended", seconds=RESTORED_S_MAX, every_s=0.3)


async def _said(servers: Settings, *command: str) -> str:
    """Run a command on the servers' stack; it has to end well."""
    code, out, err = await LiveSystem(servers).command(*command)
    assert code == 0, err + out
    return out


async def _version(live: LiveSystem, wallet_id: str) -> int:
    query = "SELECT last_event_version FROM wallet_snapshots WHERE wallet_id = $1"
    ((version,),) = await live.rows(query, wallet_id)
    return int(version)


async def _cached_version(settings: Settings, wallet_id: str) -> int:
    async with aioredis.Redis.from_url(settings.redis) as redis:
        cached = await redis.get(f"wallet:{wallet_id}")
    assert cached is not None
    return int(msgspec.json.decode(cached)["version"])
