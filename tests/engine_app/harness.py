"""Runs the engine's test app as worker processes on topics of their own, and reads their outputs."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams.settings import Settings
from tests.engine_app.audit import Log, audit, committed
from tests.engine_app.faults import PARTITIONS, TOPICS
from tests.live import Process, eventually
from tests.ports import free_port


class EngineWorkers:
    """A group of workers; each worker id is a process with a folder of its own."""

    def __init__(self, settings: Settings, *, module: str = "tests.engine_app", sources: int = 1) -> None:
        self.settings = settings
        self.module = module
        self.sources = sources
        """Source topics of the workers started from now on."""
        self.echo = False
        """Whether the workers started from now on write each number less one to toy-in."""
        self.fed: Counter[str] = Counter()
        self.processes: dict[str, Process] = {}

    async def create_topics(self) -> None:
        """Create the topics, and wait until the broker knows them."""
        names = [self.settings.topic(name) for name in TOPICS]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()

        async def are_known() -> bool:
            return not any(answer["error_code"] for answer in await admin.describe_topics(names))

        try:
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
            await eventually(are_known, what="the topics of the workers are known")
        finally:
            await admin.close()

    async def delete_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()
        try:
            await admin.delete_topics([self.settings.topic(name) for name in TOPICS])
        finally:
            await admin.close()

    async def make_anew(self, topic: str, log: Log, *, headers: bool = True) -> None:
        """Delete a topic and create it again with these records."""
        name = self.settings.topic(topic)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()

        async def created() -> bool:
            answer = await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
            return all(code == 0 for _name, code, _message in answer.topic_errors)

        try:
            await admin.delete_topics([name])
            await eventually(created, what=f"{topic} is made anew")
        finally:
            await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka, acks="all") as producer:
            for partition, records in log.items():
                for record in records:
                    kept = list(record.headers) if headers else []
                    await producer.send_and_wait(name, record.value, record.key, partition, headers=kept)

    def tables_dir(self, worker_id: str = "1") -> Path:
        """Return the folder of a worker's tables."""
        return self.settings.model_copy(update={"worker_id": worker_id}).tables_dir

    def start(
        self, worker_id: str = "1", *, fault: str = "", group: str | None = None, machine: str = ""
    ) -> Process:
        """Start a worker, with this fault and group; start it again if it has ended.

        On another `machine` it has folders of its own, so two may have one worker id.
        """
        values = self.settings.model_dump(mode="json")
        values |= {"worker_id": worker_id, "http_port": free_port(), "transaction_timeout_ms": 5_000}
        environment = {f"LEDGER_{name.upper()}": str(value) for name, value in values.items()}
        environment |= {"TOY_FAULT": fault, "TOY_SOURCES": str(self.sources)}
        environment["TOY_ECHO"] = "1" if self.echo else ""
        environment["LEDGER_APP_ID"] = group or self.settings.app_id
        environment["LEDGER_HOME"] = str(self.settings.home / machine)
        command = [sys.executable, "-m", self.module, "worker", "--without-web", "-l", "info"]
        name = f"toy-{worker_id}{machine}"
        process = Process(name, command, environment, self.settings.home / f"{name}.log")
        self.processes[f"{worker_id}{machine}"] = process
        process.start()
        return process

    def hold(self, worker_id: str = "1") -> None:
        """Hold the next commit of this worker; it logs `worker holds its commit`."""
        (self.settings.home / f"hold-{worker_id}").touch()

    def release(self, worker_id: str = "1") -> None:
        """Let the held commit go on."""
        (self.settings.home / f"hold-{worker_id}").unlink()

    async def feed(self, numbers: dict[str, int], *, times: int = 1, topic: str = "toy-in") -> None:
        """Send each key's number `times` times, to the partition of the key."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka, enable_idempotence=True, linger_ms=2
        ) as producer:
            for _ in range(times):
                for key, number in numbers.items():
                    await producer.send(self.settings.topic(topic), b"%d" % number, key=key.encode())
                    self.fed[key] += number * (number + 1) // 2 if self.echo else number
            await producer.flush()

    async def outputs(self, topic: str = "toy-out") -> dict[str, list[int]]:
        """Return the committed values of each key, in order."""
        found: dict[str, list[int]] = {}
        for records in (await committed(self.settings, topic)).values():
            for record in records:
                found.setdefault(record.key.decode(), []).append(int(record.value))
        return found

    async def all_added(self, *, seconds: float = 60.0) -> dict[str, list[int]]:
        """Wait until every key's sum is that of the numbers fed, and return all outputs."""

        async def added() -> dict[str, list[int]] | None:
            found = await self.outputs()
            sums = {key: values[-1] for key, values in found.items()}
            return found if sums == dict(self.fed) else None

        return await eventually(added, what=f"sums are {dict(self.fed)}", seconds=seconds, every_s=0.2)

    async def all_added_once(self, number: int = 1) -> None:
        """Wait for all sums and check that each addition was written once, in order."""
        found = await self.all_added()
        for key, total in self.fed.items():
            assert found[key] == list(range(number, total + 1, number)), f"{key}: not each sum exactly once"

    async def all_exact(self) -> None:
        """Wait for all sums, stop the workers, and audit topics, group offsets and tables."""
        await self.all_added()
        running = [process for process in self.processes.values() if process.exit_code is None]
        for process in running:
            process.signal(signal.SIGTERM)
        codes = {process.name: process.wait() for process in running}
        assert not any(codes.values()), codes
        await audit(self.settings)

    def close(self) -> None:
        for process in self.processes.values():
            if process.exit_code is None:
                process.signal(signal.SIGCONT)
                process.kill()


@asynccontextmanager
async def engine_workers(
    settings: Settings, *, module: str = "tests.engine_app", sources: int = 1
) -> AsyncIterator[EngineWorkers]:
    """Yield workers with topics of their own; stop them and delete the topics afterwards."""
    workers = EngineWorkers(settings, module=module, sources=sources)
    await workers.create_topics()
    try:
        yield workers
    finally:
        workers.close()
        await workers.delete_topics()


async def said(process: Process, text: str, *, times: int = 1, seconds: float = 40.0) -> None:
    """Wait until the log has the text `times` times; fail if the process exits before."""

    async def is_there() -> bool:
        is_over = process.exit_code is not None
        found = process.log.exists() and process.log.read_text(errors="replace").count(text) >= times
        assert found or not is_over, f"{process.name} ended without {text!r}"
        return found

    await process.eventually(is_there, what=f"says {text!r}", seconds=seconds)
