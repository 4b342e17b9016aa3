"""Testbed: one live system on servers of its own, which may be killed, and its supervisor.

Two workers, a projector, a gateway and a provider.  A process that ends by itself is started again, as
by `ledger-streams run`.  A process that a nemesis stopped stays down until the nemesis starts it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from ledger_streams.local.stack import daemon, down, up
from ledger_streams.local.stack.server import local_port
from ledger_streams.settings import Settings
from tests.conftest import ROOT, stack_settings
from tests.fault.network import Network
from tests.live import LiveSystem, Process, eventually
from tests.own_system import own_system
from tests.ports import free_port, free_ports
from tests.stacks import remove_stack

WORKERS: Final = ("worker-1", "worker-2")
STRETCH: Final = 150
"""Steps of the workload that a fault lasts at least."""
CONNECTED: Final = (*WORKERS, "projector-1", "gateway-1")
"""Those that use the servers, each over a way of its own; a third worker goes directly."""
EVERYTHING: Final = ("provider-1", *CONNECTED)
AGAIN_AFTER_S: Final = 1.0
"""As the supervisor of `run` at first."""
FURTHER_S_MAX: Final = 120.0
TIMING: Final = {
    "provider_timeout_ms": 1_000,
    "provider_patience_ms": 15_000,
    "breaker_failures_max": 20,
    "breaker_open_s": 1,
    "transaction_timeout_ms": 5_000,
}
"""A provider's silence ends within the run, and so does a dead worker's transaction."""
BEHAVIOUR: Final = {
    "latency_ms": "5",
    "slow_share": "0.02",
    "slow_ms": "1500",
    "error_share": "0.1",
    "lost_share": "0.1",
    "double_share": "0.05",
}


class Testbed:
    """The system, its servers, and the number of workload steps sent to it."""

    __test__ = False
    """pytest would collect a class whose name begins with Test."""

    def __init__(self, live: LiveSystem, servers: Settings) -> None:
        self.live = live
        self.servers = servers
        self.network = network_of(servers)
        self.sent = 0
        self.ended_by_itself: Counter[str] = Counter()
        self._down: set[str] = set()
        self.brokers = tuple(f"kafka-{number}" for number in range(1, servers.kafka.count(",") + 2))

    def start(self, *names: str, **environment: str) -> None:
        """Start processes, again or for the first time; with more environment than usual, this time."""
        for name in names:
            self._down.discard(name)
            command, _, worker_id = name.rpartition("-")
            self.live.start(command, worker_id, **environment)

    def provide(self, **behaviour: str) -> None:
        """Start the provider, with other options than usual."""
        (url,) = self.live.settings.provider_urls.values()
        self._down.discard("provider-1")
        provider = _provider(url, self.live.settings.home, behaviour)
        self.live.processes["provider-1"] = provider
        provider.start()

    def kill(self, *names: str) -> None:
        """End processes as a power cut would."""
        self._down.update(names)
        for name in names:
            self.live.processes[name].signal(signal.SIGKILL)
        for name in names:
            self.live.processes[name].wait()

    async def stop(self, *names: str) -> None:
        """Ask processes to end and wait for that."""
        self._down.update(names)
        await asyncio.gather(*(asyncio.to_thread(self.live.processes[name].stop) for name in names))

    def tables(self, name: str) -> Path:
        """Return the folder of a worker's tables."""
        return self.live.settings.home / "workers" / name.rpartition("-")[2] / "tables"

    async def further(self, steps: int) -> None:
        """Return when so many more steps of the workload have been sent."""
        goal = self.sent + steps

        async def is_there() -> bool:
            return self.sent >= goal

        await eventually(is_there, what=f"{steps} more steps", seconds=FURTHER_S_MAX)

    async def kill_server(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a server the signal that ends it, and wait for that."""
        self.signal_server(name, number)

        async def is_gone() -> bool:
            return daemon.running_pid(self.server_folder(name)) is None

        await eventually(is_gone, what=f"{name} is gone")

    def signal_server(self, name: str, number: signal.Signals) -> None:
        """Send a server a signal."""
        pid = daemon.running_pid(self.server_folder(name))
        assert pid is not None, f"{name} does not run"
        os.kill(pid, number)

    def server_folder(self, name: str) -> Path:
        """Return the folder of a server."""
        return self.servers.home.resolve() / "stack" / name

    async def servers_up(self) -> None:
        """Start the servers that do not run and wait until they answer."""
        await asyncio.to_thread(up, self.servers, say=_nothing)

    async def servers_down(self) -> None:
        """Stop the servers in order."""
        await asyncio.to_thread(down, self.servers, say=_nothing)

    async def out_of_the_group(self, name: str) -> None:
        """Return when the group has got on without the worker."""

        worker_id = name.rpartition("-")[2]
        await eventually(
            partial(self.live.is_out, worker_id), what=f"{name} is out of the group", every_s=0.2
        )

    async def supervise(self) -> None:
        """Start again what has ended by itself, until cancelled."""
        while True:
            for name, process in self.live.processes.items():
                if process.exit_code is not None and name not in self._down:
                    self.ended_by_itself[name] += 1
                    process.start()
            await asyncio.sleep(AGAIN_AFTER_S)


@contextmanager
def own_servers(brokers: int = 1, *, backups: bool = False) -> Iterator[Settings]:
    """Servers nobody else uses, below .ledger, which PostgreSQL's user can reach; removed afterwards.

    With several brokers, topics have a replica on each, and a write may miss one of them.
    """
    home = ROOT / ".ledger" / f"nemeses-{uuid.uuid4().hex[:8]}"
    servers_ports = 2 * brokers + 2  # a controller for each broker lies between
    port = free_ports(servers_ports + Network.ports(CONNECTED))
    after = port + 2 * brokers
    servers = stack_settings(
        home=home,
        kafka=",".join(f"127.0.0.1:{port + number}" for number in range(brokers)),
        postgres=f"postgresql://ledger@127.0.0.1:{after}/ledger",
        redis=f"redis://127.0.0.1:{after + 1}/0",
        replication_factor=brokers,
        min_insync_replicas=max(1, brokers - 1),
        backups=str(home / "backups") if backups else "",
    )
    network = network_of(servers)
    try:
        network.prepare()
        up(servers, say=_nothing)
        network.start(say=_nothing)
        yield servers
    finally:
        network.stop()
        down(servers, say=_nothing)
        remove_stack(home)


def network_of(servers: Settings) -> Network:
    """Return the network between the processes and these servers; its ports come after Redis', the last.

    With several brokers there is none: each of them would need a listener for each process.
    """
    processes = () if "," in servers.kafka else CONNECTED
    return Network(servers, processes, local_port(servers.redis, dependency="redis") + 1)


@asynccontextmanager
async def open_testbed(servers: Settings, home: Path) -> AsyncIterator[Testbed]:
    """A system on these servers, ready and supervised."""
    async with own_system(servers, home) as own:
        changes = TIMING | {"providers": f"acme=http://127.0.0.1:{free_port()}"}
        live = LiveSystem(own.model_copy(update=changes))
        testbed = Testbed(live, servers)
        testbed.provide()
        live.ways = {name: testbed.network.environment(name, live.settings) for name in CONNECTED}
        try:
            await live.start_all(2)
            supervisor = asyncio.create_task(testbed.supervise())
            try:
                yield testbed
            finally:
                supervisor.cancel()
                await asyncio.wait({supervisor})
        finally:
            await testbed.servers_up()
            await live.close()


def _provider(url: str, home: Path, behaviour: Mapping[str, str]) -> Process:
    own = {"port": url.rpartition(":")[2], "book": str(home / "provider.sqlite3")}
    options = {**BEHAVIOUR, **behaviour, **own}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    command = [sys.executable, "-m", "ledger_streams", "provider-simulator", *words]
    return Process("provider-1", command, {}, home / "provider-1.log")


def _nothing(_line: str) -> None:
    """Say nothing: servers come and go all the while."""
