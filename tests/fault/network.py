"""Network: toxiproxy between the testbed's processes and its servers, a way for each process to each server.

So one process alone can be cut off while the others go on; a process without a way connects directly.
A way to the broker ends at a listener that advertises the way itself, or clients would leave it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import msgspec

from ledger_streams.local.stack import daemon
from ledger_streams.local.stack.install import Say, cache, fetch_once, program, run
from ledger_streams.local.stack.server import local_port, port_is_open
from ledger_streams.settings import Settings
from tests.live import eventually

VERSION: Final = "2.12.0"
MODULE: Final = f"github.com/Shopify/toxiproxy/v2/cmd/server@v{VERSION}"
SERVERS: Final = ("kafka", "postgres", "redis")
PORTS_PER_PROCESS: Final = 1 + len(SERVERS)
"""The broker's listener, and a way to each server."""
STOP_PATIENCE_S: Final = 10.0


class Way(NamedTuple):
    """How a process comes to a server: it connects to `port`, which leads to `upstream`."""

    process: str
    server: str
    port: int
    upstream: int

    @property
    def name(self) -> str:
        """Return the proxy's name."""
        return f"{self.process}-{self.server}"


class Network:
    """All ways of the testbed; its first port is the proxy's own, those of the ways come after it."""

    def __init__(self, servers: Settings, processes: Sequence[str], first_port: int) -> None:
        self._folder = servers.home.resolve() / "stack" / "toxiproxy"
        self._port = first_port
        ports = {name: local_port(getattr(servers, name), dependency=name) for name in SERVERS[1:]}
        self.ways: list[Way] = []
        for number, process in enumerate(processes):
            listener = first_port + 1 + PORTS_PER_PROCESS * number
            for offset, server in enumerate(SERVERS, start=1):
                upstream = listener if server == "kafka" else ports[server]
                self.ways.append(Way(process, server, listener + offset, upstream))

    @staticmethod
    def ports(processes: Sequence[str]) -> int:
        """Return how many ports a network of these processes takes."""
        return 1 + PORTS_PER_PROCESS * len(processes)

    def prepare(self) -> None:
        """Tell the broker's folder which listeners it has; before the broker is started."""
        broker = self._folder.parent / "kafka-1"
        broker.mkdir(parents=True, exist_ok=True)
        detours = [f"{way.upstream} {way.port}" for way in self.ways if way.server == "kafka"]
        (broker / "detours").write_text("\n".join(detours))

    def start(self, say: Say) -> None:
        """Start the proxy with all ways open."""
        if not self.ways:
            return
        self._folder.mkdir(exist_ok=True)
        ways = [
            {
                "name": way.name,
                "listen": f"127.0.0.1:{way.port}",
                "upstream": f"127.0.0.1:{way.upstream}",
                "enabled": True,
            }
            for way in self.ways
        ]
        configuration = self._folder / "ways.json"
        configuration.write_bytes(msgspec.json.encode(ways))
        options = ["-host", "127.0.0.1", "-port", str(self._port), "-config", str(configuration)]
        daemon.start(self._folder, [str(fetch(say)), *options])
        asyncio.run(self._is_open())

    def stop(self) -> None:
        """End the proxy."""
        if daemon.ask_to_stop(self._folder, signal.SIGTERM):
            daemon.wait_for_end(self._folder, patience_s=STOP_PATIENCE_S)

    def environment(self, process: str, settings: Settings) -> dict[str, str]:
        """Return the LEDGER_* variables that lead this process over its ways."""
        changed = {}
        for way in self.ways:
            if way.process == process:
                direct: str = getattr(settings, way.server)
                port = local_port(direct, dependency=way.server)
                changed[f"LEDGER_{way.server.upper()}"] = direct.replace(f":{port}", f":{way.port}")
        return changed

    @asynccontextmanager
    async def silent(self, server: str, *processes: str) -> AsyncIterator[None]:
        """Drop all that is sent either way, without closing; what was cut off is closed at the end."""
        async with (
            self._toxic("timeout", "upstream", server, processes, timeout=0),
            self._toxic("timeout", "downstream", server, processes, timeout=0),
        ):
            yield

    @asynccontextmanager
    async def resetting(self, server: str, *processes: str) -> AsyncIterator[None]:
        """Reset every connection, the new ones too."""
        async with self._toxic("reset_peer", "downstream", server, processes, timeout=0):
            yield

    @asynccontextmanager
    async def far(self, server: str, *processes: str, latency_ms: int, jitter_ms: int) -> AsyncIterator[None]:
        """Let each answer come later by the latency, give or take the jitter."""
        async with self._toxic(
            "latency", "downstream", server, processes, latency=latency_ms, jitter=jitter_ms
        ):
            yield

    @asynccontextmanager
    async def _toxic(
        self, kind: str, stream: str, server: str, processes: Sequence[str], **attributes: int
    ) -> AsyncIterator[None]:
        name = f"{kind}-{stream}"
        toxic = {"name": name, "type": kind, "stream": stream, "attributes": attributes}
        pages = [
            f"http://127.0.0.1:{self._port}/proxies/{way.name}/toxics"
            for way in self.ways
            if way.server == server and way.process in processes
        ]
        assert len(pages) == len(processes), f"no way to {server} for each of {processes}"
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await asyncio.gather(*(session.post(page, json=toxic) for page in pages))
            try:
                yield
            finally:
                await asyncio.gather(*(session.delete(f"{page}/{name}") for page in pages))

    async def _is_open(self) -> None:
        async def answers() -> bool:
            return all([await port_is_open(port) for port in (self._port, *(way.port for way in self.ways))])

        await eventually(answers, what="toxiproxy listens on every way")


def fetch(say: Say) -> Path:
    """Return toxiproxy's program, built from its Go module unless it is there."""

    def build(folder: Path) -> None:
        say(f"toxiproxy: building {MODULE}")
        go = program("go", package="golang-go", dependency="toxiproxy", say=say)
        run(["env", f"GOBIN={folder}", go, "install", MODULE], dependency="toxiproxy")

    return fetch_once(cache() / f"toxiproxy-{VERSION}", build) / "server"
