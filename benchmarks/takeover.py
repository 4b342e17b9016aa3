"""Takeover: one of two workers is killed under load; time until payments of its partitions continue.

The first time is from the kill to the first commit for a payment of one of the killed
worker's partitions, by the broker's clock.  The second is until the first such payment that
was sent after the kill has ended.  The phases come from the log of the surviving worker: the
rejoin, the assignment, and each phase of its takeover.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from benchmarks.load import KafkaLoad, record, transfer, wallet_ids
from benchmarks.rebuild import restores_in
from ledger_streams import topics
from tests.live import LiveSystem, Process, eventually

WALLETS: Final = 200
WARM_PAYMENTS: Final = 1_000
ENDED_S_MAX: Final = 120.0
READ_S_MAX: Final = 600.0
"""Time for large tables to be restored twice: by their owner, and slowly by the standby."""
_line = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] .*?\] (.*)$", re.MULTILINE).findall
_phase = re.compile(r"(\w+) ([\d.]+) s").findall
_standby_left = re.compile(r"^ledger_standby_left_records\{.*\} (\S+)$", re.MULTILINE).findall


class TakeoverTiming(msgspec.Struct):
    """Times of a takeover in seconds from the kill, the restored records, and the payments' outcomes."""

    session_timeout_s: float
    rejoined_s: float
    """The group has removed the killed worker, and the survivor rejoins."""
    assigned_s: float
    """The survivor has the partitions."""
    phases_s: dict[str, float]
    """Duration of each phase of the takeover."""
    ready_s: float
    first_commit_s: float
    first_end_s: float
    """The backlog of the takeover is processed."""
    restored_records: int
    payments: int
    completed: int


class Stream:
    """Transfers at a steady rate, with the time of each one's end."""

    def __init__(self, live: LiveSystem, rate_per_s: int) -> None:
        self._live, self._rate_per_s = live, rate_per_s
        self._requests = live.settings.topic(topics.PAYMENT_EVENTS)
        self._sagas = live.settings.topic(topics.SAGA_EVENTS)
        self.sent: dict[bytes, tuple[float, int]] = {}
        """Time of sending and partition of each payment."""
        self.begun: dict[bytes, float] = {}
        """Start time of each payment's saga, by the broker's clock."""
        self.ended: dict[bytes, float] = {}
        self._is_over = asyncio.Event()

    def end(self) -> None:
        """Stop sending."""
        self._is_over.set()

    async def send(self) -> None:
        """Send until `end`."""
        random, wallets, began_s = Random(7), wallet_ids(WALLETS), time.time()
        async with AIOKafkaProducer(bootstrap_servers=self._live.settings.kafka, acks="all") as producer:
            while not self._is_over.is_set():
                data = transfer(random, wallets)
                key, sent_s = data["payment_id"].encode(), time.time()
                value = record("PaymentRequested", data["payment_id"], data)
                placed = await producer.send_and_wait(self._requests, value, key=key)
                self.sent[key] = sent_s, placed.partition
                await asyncio.sleep(max(0.0, began_s + len(self.sent) / self._rate_per_s - time.time()))

    async def read(self) -> None:
        """Record the first commit and the end of each payment, until cancelled."""
        names = {topics.PAYMENT_EVENTS: self._requests, topics.SAGA_EVENTS: self._sagas}
        partitions = [
            TopicPartition(full, number)
            for name, full in names.items()
            for number in range(topics.spec(name).partitions)
        ]
        async with AIOKafkaConsumer(
            bootstrap_servers=self._live.settings.kafka,
            isolation_level="read_committed",
            fetch_max_wait_ms=10,
        ) as consumer:
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            async for outcome in consumer:
                if b'"PaymentCompleted"' in outcome.value:
                    self.ended[outcome.key] = time.time()
                elif b'"SagaStarted"' in outcome.value:
                    self.begun[outcome.key] = outcome.timestamp / 1000

    def begun_since(self, at_s: float, partitions: frozenset[int]) -> float:
        """Return the time of the first saga started after `at_s` in the partitions."""
        begun = (self.begun[key] for key, (_, number) in self.sent.items() if number in partitions)
        return min(begun_s for begun_s in begun if begun_s > at_s)

    def ended_since(self, at_s: float, partitions: frozenset[int]) -> float | None:
        """Return the time of the first end of a payment sent after `at_s` to the partitions."""
        times = (
            self.ended[key]
            for key, (sent_s, partition) in self.sent.items()
            if sent_s > at_s and partition in partitions and key in self.ended
        )
        return min(times, default=None)


async def take_over(live: LiveSystem, *, rate_per_s: int) -> TakeoverTiming:
    """Start two workers, kill the first under load, and measure; returns when all payments have ended."""
    for number in "12":
        live.start("worker", number)
    for number in "12":
        await live.ready(number, seconds=READ_S_MAX)
    await KafkaLoad(live.settings).open_wallets(wallet_ids(WALLETS))
    stream = Stream(live, rate_per_s)
    reading, sending = asyncio.create_task(stream.read()), asyncio.create_task(stream.send())
    try:
        await eventually(lambda: _warm(live, stream), what="the standby is near the end", seconds=READ_S_MAX)
        had = await partitions_of(live, "1", live.settings.topic(topics.PAYMENT_EVENTS))
        killed_s = time.time()
        live.processes["worker-1"].kill()

        async def goes_on() -> float | None:
            return stream.ended_since(killed_s, had)

        on_s = await eventually(goes_on, what="payments go on", seconds=ENDED_S_MAX, every_s=0.01)
        stream.end()
        await sending

        async def all_ended() -> bool:
            return stream.ended.keys() >= stream.sent.keys() <= stream.begun.keys()

        await eventually(all_ended, what="all payments have ended", seconds=ENDED_S_MAX)
    finally:
        reading.cancel()
        sending.cancel()
    begun_s = stream.begun_since(killed_s, had)
    return _recovered(live, stream, killed_s, begun_s=begun_s, on_s=on_s)


async def partitions_of(live: LiveSystem, worker_id: str, topic: str) -> frozenset[int]:
    """Return the partitions of a topic that the group has assigned to a worker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=live.settings.kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([live.settings.app_id])
    finally:
        await admin.close()
    ((_, _, _, _, _, members, *_),) = answer.groups
    client = f"{live.settings.app_id}-{worker_id}"
    (assignment,) = (member[4] for member in members if member[1] == client)
    given = ConsumerProtocolMemberAssignment.decode(assignment).assignment
    return frozenset(number for name, numbers in given for number in numbers if name == topic)


async def _warm(live: LiveSystem, stream: Stream) -> bool:
    """Return whether payments flow and the standby has nearly caught up."""
    if len(stream.ended) < WARM_PAYMENTS or not live.settings.standby:
        return len(stream.ended) >= WARM_PAYMENTS
    _, text, _ = await live.request("GET", "/metrics", worker_id="2")
    left = [float(offsets) for offsets in _standby_left(text)]
    return bool(left) and sum(left) < WARM_PAYMENTS


def _recovered(
    live: LiveSystem, stream: Stream, killed_s: float, *, begun_s: float, on_s: float
) -> TakeoverTiming:
    lines = list(_lines_since(live.processes["worker-2"], killed_s))
    at_s = {
        what: next(at for at, line in lines if what in line) - killed_s
        for what in ("(Re-)joining", "_on_partitions_assigned", "ready: ")
    }
    took = next(line for _, line in lines if "the takeover took" in line).partition(": ")[2]
    (read,) = restores_in("\n".join(line for _, line in lines))
    return TakeoverTiming(
        session_timeout_s=live.settings.session_timeout_ms / 1000,
        rejoined_s=round(at_s["(Re-)joining"], 3),
        assigned_s=round(at_s["_on_partitions_assigned"], 3),
        phases_s={phase: float(seconds) for phase, seconds in _phase(took)},
        ready_s=round(at_s["ready: "], 3),
        first_commit_s=round(begun_s - killed_s, 3),
        first_end_s=round(on_s - killed_s, 3),
        restored_records=read.records,
        payments=len(stream.sent),
        completed=len(stream.ended),
    )


def _lines_since(process: Process, at_s: float) -> Iterator[tuple[float, str]]:
    for at, text in _line(process.log.read_text(errors="replace")):
        logged_s = datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
        if logged_s >= at_s:
            yield logged_s, text
