"""`provider-simulator` as a process: after a kill and a restart, its book has every approved order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ledger_streams.errors import Unavailable
from tests.live import Process, eventually
from tests.ports import free_port
from tests.provider_stage import ACME, ProviderStage, client, order


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def process(tmp_path: Path, port: int) -> Process:
    options = ["--port", str(port), "--book", str(tmp_path / "book.sqlite3"), "--latency-ms", "1"]
    command = [sys.executable, "-m", "ledger_streams", "provider-simulator", *options, "--slow-share", "0"]
    return Process("provider-simulator", command, {}, tmp_path / "simulator.log")


@pytest.fixture
async def stage(process: Process, port: int) -> AsyncIterator[ProviderStage]:
    url = f"http://127.0.0.1:{port}"
    process.start()
    try:
        async with client(url) as providers:
            stage = ProviderStage(url, providers)
            await answering(stage, process)
            yield stage
    finally:
        process.stop()


async def answering(stage: ProviderStage, process: Process) -> None:
    """Wait until it answers."""

    async def answers() -> bool:
        assert process.exit_code is None, process.tail()
        try:
            return (await stage.ask("GET", "/book"))[0] == 200
        except aiohttp.ClientConnectionError:
            return False

    await eventually(answers, what="the simulator answers")


async def test_a_simulator_killed_during_calls_remembers_every_approved_order(
    stage: ProviderStage, process: Process
) -> None:
    approved: set[str] = set()
    sent: set[str] = set()

    async def send_until_it_is_gone() -> None:
        while process.exit_code is None:
            wanted = order()
            sent.add(wanted.key)
            try:
                answer = await stage.providers.carry_out(ACME, wanted)
            except Unavailable:
                continue
            if answer.status == "approved":
                approved.add(wanted.key)

    async def kill_when_busy() -> None:
        async def busy() -> bool:
            return len(approved) >= 100

        await eventually(busy, what="100 payments are approved")
        process.kill()

    await asyncio.gather(kill_when_busy(), *(send_until_it_is_gone() for _ in range(8)))
    process.start()
    await answering(stage, process)
    assert approved <= set(await stage.effective()) <= sent


async def test_the_simulator_prints_its_address_and_stops_cleanly_on_sigterm(
    stage: ProviderStage, process: Process
) -> None:
    assert f"Provider on {stage.url}, book " in process.tail()
    process.signal(signal.SIGTERM)
    assert process.wait() == 0, process.tail()
