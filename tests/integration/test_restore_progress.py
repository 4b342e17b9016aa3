"""Progress that a worker reports while it restores its tables, and a replay while it runs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from benchmarks.rebuild import fill
from ledger_streams import topics
from ledger_streams.settings import Settings
from tests.e2e.outside import open_wallet
from tests.live import LiveSystem, eventually, running

WALLETS = 2_000
FAR = re.compile(r"[\d,]+ of [\d,]+ records \(\d+ %\), [\d,]+ a second, some \d+ s left")


@asynccontextmanager
async def transaction_open(settings: Settings) -> AsyncIterator[None]:
    """Leave a record of an open transaction on wallet-events."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka, transactional_id=f"{settings.app_id}-outside"
    ) as outside:
        await outside.begin_transaction()
        await outside.send_and_wait(settings.topic(topics.WALLET_EVENTS), b"{}", key=b"nobody", partition=0)
        yield
        await outside.abort_transaction()


async def metric(live: LiveSystem, sample: str) -> float:
    """Return a sample of the worker's metrics; 0 where there is none."""
    _, text, _ = await live.request("GET", "/metrics")
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def told(live: LiveSystem) -> str:
    """Return the detail that an unready worker reports; empty while it does not answer."""
    try:
        status, problem, _ = await live.request("GET", "/health/ready")
    except aiohttp.ClientConnectionError:
        return ""
    assert status == 503, problem
    return str(problem["detail"])


@pytest.mark.timeout(120)
@pytest.mark.slow
async def test_a_restoring_worker_reports_its_progress(migrated: Settings) -> None:
    left, took = (
        'ledger_restore_left_records{table="wallets"}',
        'ledger_last_takeover_seconds{phase="restore"}',
    )
    async with running(migrated) as live:
        await fill(live, WALLETS)
        async with transaction_open(migrated):
            worker = live.start("worker")

            async def is_told() -> bool:
                return FAR.search(await told(live)) is not None

            await eventually(is_told, what="/health/ready says how far the tables are")

            async def is_logged() -> bool:
                return FAR.search(worker.log.read_text()) is not None

            await eventually(is_logged, what="the log says so too")
            assert await metric(live, left) >= 1
            assert await metric(live, "ledger_ready") == 0
        await live.ready()
        assert await metric(live, left) == 0
        assert await metric(live, 'ledger_restored_records_total{table="wallets"}') == WALLETS
        assert await metric(live, took) > 0


async def test_a_replay_reports_its_progress(migrated: Settings) -> None:
    async with running(migrated, workers=1) as live:
        await open_wallet(live)
        code, _, err = await live.command("replay", "cache")
        assert (code, "1 of 1 wallets in the cache (100 %)" in err) == (0, True), err
        code, _, err = await live.command("replay", "projections")
        assert code == 0, err
        assert re.search(r"\d+ of \d+ records read \(\d+ %\), \d+ a second", err), err
