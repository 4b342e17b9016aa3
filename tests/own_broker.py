"""A broker of a test's own, without the other servers: stopped, killed and started again as it likes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.kafka import Broker
from tests.live import eventually
from tests.ports import free_ports

READY_S_MAX: Final = 90.0


class OwnBroker:
    """One broker, which is its own controller."""

    def __init__(self, folder: Path) -> None:
        port = free_ports(2)
        self._broker = Broker(folder, port, (port,))
        self.address = f"127.0.0.1:{port}"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        folder = self._broker.folder
        folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._broker.prepare, _nothing)
        daemon.start(folder, self._broker.command())

        async def answers() -> bool:
            return await self._broker.complaint() is None

        await eventually(answers, what="the broker answers", seconds=READY_S_MAX, every_s=0.2)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        pid = daemon.running_pid(self._broker.folder)
        assert pid is not None, "the broker does not run"
        os.kill(pid, number)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)

        async def is_gone() -> bool:
            return daemon.running_pid(self._broker.folder) is None

        await eventually(is_gone, what="the broker is gone")


@contextmanager
def own_broker(folder: Path) -> Iterator[OwnBroker]:
    """A broker that runs; it is killed afterwards.  For a fixture of a module: it is not of a test's loop."""
    broker = OwnBroker(folder)
    try:
        asyncio.run(broker.start())
        yield broker
    finally:
        if daemon.running_pid(folder) is not None:
            asyncio.run(broker.kill())


def _nothing(_line: str) -> None:
    """Say nothing."""
