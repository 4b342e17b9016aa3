"""Runs toys as processes on topics of their own and looks at what came out."""

from __future__ import annotations

import sys
from collections import Counter

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ledger_streams.settings import Settings
from tests.engine_toy.__main__ import PARTITIONS
from tests.live import Process, eventually, free_port

TOPICS = ("toy-in", "toy-changelog", "toy-out")


class Toys:
    """A group of toys; every worker id is a process with a folder of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.fed: Counter[str] = Counter()
        self._processes: dict[str, Process] = {}

    async def create_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.settings.topic(name), PARTITIONS, 1) for name in TOPICS])
        finally:
            await admin.close()

    def start(self, worker_id: str = "1", *, fault: str = "", group: str | None = None) -> Process:
        """Start a toy, again if it has ended; another fault or group replaces the old ones."""
        values = self.settings.model_dump(mode="json")
        values |= {"worker_id": worker_id, "http_port": free_port(), "transaction_timeout_ms": 5_000}
        environment = {f"LEDGER_{name.upper()}": str(value) for name, value in values.items()}
        environment |= {"TOY_FAULT": fault, "LEDGER_APP_ID": group or self.settings.app_id}
        command = [sys.executable, "-m", "tests.engine_toy", "worker", "--without-web", "-l", "info"]
        process = Process(
            f"toy-{worker_id}", command, environment, self.settings.home / f"toy-{worker_id}.log"
        )
        self._processes[worker_id] = process
        process.start()
        return process

    async def feed(self, numbers: dict[str, int], *, times: int = 1) -> None:
        """Send each key's number as often as said, with the partition of the key."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka, acks="all", linger_ms=2
        ) as producer:
            for _ in range(times):
                for key, number in numbers.items():
                    await producer.send(self.settings.topic("toy-in"), b"%d" % number, key=key.encode())
                    self.fed[key] += number
            await producer.flush()

    async def outputs(self, topic: str = "toy-out") -> dict[str, list[int]]:
        """Return the committed values of each key, in order."""
        name = self.settings.topic(topic)
        partitions = [TopicPartition(name, number) for number in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        found: dict[str, list[int]] = {}
        try:
            ends = await consumer.end_offsets(partitions)  # up to the last open transaction
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        found.setdefault(record.key.decode(), []).append(int(record.value))
        finally:
            await consumer.stop()
        return found

    async def all_added(self, *, seconds: float = 60.0) -> dict[str, list[int]]:
        """Wait until every key's sum is what was fed, and return all that came out."""

        async def added() -> dict[str, list[int]] | None:
            found = await self.outputs()
            sums = {key: values[-1] for key, values in found.items()}
            return found if sums == dict(self.fed) else None

        return await eventually(added, what=f"sums are {dict(self.fed)}", seconds=seconds, every_s=0.2)

    async def all_added_once(self, number: int = 1) -> None:
        """Wait for all sums and check that each addition came out once, in order."""
        found = await self.all_added()
        for key, total in self.fed.items():
            assert found[key] == list(range(number, total + 1, number)), f"{key}: not each sum exactly once"

    def close(self) -> None:
        for process in self._processes.values():
            if process.exit_code is None:
                process.kill()
