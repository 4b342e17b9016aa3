"""A live system for tests: real workers and projectors, child processes with settings of their own.

They are started as a user starts them, and killed as a machine kills them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import asyncpg
import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from ledger_streams.settings import Settings
from tests.ports import free_port

READY_S_MAX = 60.0
UNCHECKED = {"session_replication_role": "replica"}
"""Setting of a connection in which no trigger fires."""
T = TypeVar("T")


async def eventually(
    ask: Callable[[], Awaitable[T | None]], *, what: str, seconds: float = READY_S_MAX, every_s: float = 0.05
) -> T:
    """Ask until the answer is neither None nor False; fail with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(every_s)


class Process:
    """One child process, its log, and the ways it ends."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        """Start it, again if it has ended; with more environment than usual, this time."""
        env = os.environ | self._environment | environment
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(self._command, env=env, stdout=log, stderr=subprocess.STDOUT)

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the process runs or was never started."""
        return None if self._child is None else self._child.poll()

    @property
    def pid(self) -> int:
        """Its process id, the last one if it has ended."""
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        assert self._child is not None, f"{self.name} was never started"
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Ask it to end and wait for that."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self.wait()

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end; a process that does not end in time is killed, and the test fails."""
        assert self._child is not None, f"{self.name} was never started"
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s:\n{self.tail()}") from None

    def tail(self, lines: int = 40) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def eventually(self, ask: Callable[[], Awaitable[bool]], *, what: str, seconds: float) -> None:
        """Ask as `eventually` does; whoever asked in vain reads the end of its log."""
        try:
            await eventually(ask, what=f"{self.name} {what}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None


class LiveSystem:
    """Workers and projectors of one system, and a client of its API."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.ways: dict[str, dict[str, str]] = {}
        """Variables of one process alone: where it finds the servers, if not where the tests do."""
        self._session: aiohttp.ClientSession | None = None

    def environment(self, worker_id: str = "1") -> dict[str, str]:
        """Return the LEDGER_* variables that make a process belong to this system."""
        values = self.settings.model_dump(mode="json") | {"worker_id": worker_id}
        return {f"LEDGER_{name.upper()}": str(value) for name, value in values.items()}

    def start(self, command: str, worker_id: str = "1", **environment: str) -> Process:
        """Start `ledger-streams <command>` as the worker of this id, again if it has ended.

        With more environment than usual, this time.
        """
        name = f"{command}-{worker_id}"
        if name not in self.processes:
            port = self.ports[name] = free_port()
            self.processes[name] = Process(
                name,
                [sys.executable, "-m", "ledger_streams", command, "-l", "info"],
                self.environment(worker_id) | {"LEDGER_HTTP_PORT": str(port)} | self.ways.get(name, {}),
                self.settings.home / f"{name}.log",
            )
        self.processes[name].start(**environment)
        return self.processes[name]

    async def start_all(self, workers: int = 1) -> None:
        """Start the workers and a projector and wait until every worker is ready."""
        names = [str(number) for number in range(1, workers + 1)]
        for name in names:
            self.start("worker", name)
        self.start("projector")
        if self.settings.providers:
            self.start("gateway")
        for name in names:
            await self.ready(name)

    async def ready(
        self, worker_id: str = "1", *, command: str = "worker", seconds: float = READY_S_MAX
    ) -> None:
        """Wait until the worker, or another process with pages, says so."""
        process = self.processes[f"{command}-{worker_id}"]

        async def is_ready() -> bool:
            assert process.exit_code is None, f"{process.name} ended"
            try:
                status, _body, _headers = await self.request(
                    "GET", "/health/ready", worker_id=worker_id, command=command
                )
            except aiohttp.ClientConnectionError:
                return False
            return status == 200

        await process.eventually(is_ready, what="is ready", seconds=seconds)

    async def request(
        self, method: str, path: str, *, worker_id: str = "1", command: str = "worker", **options: Any
    ) -> tuple[int, Any, Any]:
        """Return status, body (JSON where it is JSON) and headers."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        url = f"http://127.0.0.1:{self.ports[f'{command}-{worker_id}']}{path}"
        async with self._session.request(method, url, **options) as answer:
            is_json = "json" in answer.content_type
            return answer.status, await answer.json() if is_json else await answer.text(), answer.headers

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run `ledger-streams` as a user would; return exit code, stdout and stderr."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ledger_streams", *arguments),
            env=os.environ | self.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
        assert child.returncode is not None
        return child.returncode, out.decode(), err.decode()

    async def document(self, *arguments: str) -> Any:
        """Run a command that has to end well and return the JSON it prints."""
        code, out, err = await self.command(*arguments, "--json")
        assert code == 0, err + out
        return msgspec.json.decode(out)

    async def rows(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Ask PostgreSQL."""
        connection = await asyncpg.connect(self.settings.postgres)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    async def forge(self, statement: str, *values: object) -> None:
        """Change PostgreSQL as somebody who has switched its own checks off."""
        connection = await asyncpg.connect(self.settings.postgres, server_settings=UNCHECKED)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def ended_payments(self) -> int:
        """Return how many payments PostgreSQL has seen the end of."""
        (row,) = await self.rows("SELECT count(*) AS ended FROM payments WHERE ended_at IS NOT NULL")
        return int(row["ended"])

    async def is_out(self, worker_id: str) -> bool:
        """Tell whether the workers' group has got on without this one."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()
        try:
            (answer,) = await admin.describe_consumer_groups([self.settings.app_id])
        finally:
            await admin.close()
        ((_, _, state, _, _, members, *_),) = answer.groups
        clients = [member[1] for member in members]
        return state == "Stable" and bool(clients) and f"{self.settings.app_id}-{worker_id}" not in clients

    async def close(self) -> None:
        """Stop everything that still runs."""
        if self._session is not None:
            await self._session.close()
        for process in self.processes.values():
            if process.exit_code is None:
                process.signal(signal.SIGCONT)
        for process in self.processes.values():
            process.stop()


@asynccontextmanager
async def running(settings: Settings, *, workers: int = 0) -> AsyncIterator[LiveSystem]:
    """A system with so many workers ready (0: nothing started yet), stopped afterwards."""
    system = LiveSystem(settings)
    try:
        if workers:
            await system.start_all(workers)
        yield system
    finally:
        await system.close()
