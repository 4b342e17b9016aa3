"""Outcome check: reads a contender's committed output and verifies it.

Each payment must have one outcome, and the wallets must have the amounts of all commands:
none lost, none executed twice.  An at-least-once contender may repeat outcomes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.peers.task import Task
from ledger_streams.domain.money import parse_amount
from tests.live import eventually

STILL_S_MAX: Final = 30.0
"""After this time without a new record, the missing ones are lost."""
READ_RECORDS_MAX: Final = 5_000
CURRENCY: Final = "EUR"


class WrongOutcome(Exception):
    """A contender has lost a command or executed it twice."""


class _Balance(msgspec.Struct):
    balance: str


class _Wallet(msgspec.Struct):
    version: int
    balances: dict[str, _Balance]


class _Event(msgspec.Struct):
    wallet: _Wallet


_event = msgspec.json.Decoder(_Event).decode


class ContenderOutput(msgspec.Struct):
    """Counts from a contender's two output topics."""

    outcomes: int = 0
    payments: set[bytes] = msgspec.field(default_factory=set)
    """Payments that have an outcome."""
    events: int = 0
    balances_minor: dict[bytes, int] = msgspec.field(default_factory=dict)
    """Balance of each wallet after its last event."""

    def add_outcome(self, record: Any) -> None:
        self.outcomes += 1
        self.payments.add(record.key)

    def add_event(self, record: Any) -> None:
        self.events += 1
        balance = _event(record.value).wallet.balances[CURRENCY].balance
        # parse_amount refuses zero, which is the balance of a new wallet
        self.balances_minor[record.key] = 0 if balance == "0.00" else parse_amount(balance, CURRENCY)

    def check(self, commands: int, *, amount_minor: int, is_exactly_once: bool) -> None:
        """Raise WrongOutcome unless `commands` commands, each of its own payment, were executed."""
        if len(self.payments) != commands:
            raise WrongOutcome(f"{len(self.payments)} payments of {commands} have an outcome")
        repeated = self.outcomes - commands
        surplus_minor = sum(self.balances_minor.values()) - commands * amount_minor
        if is_exactly_once and (repeated or surplus_minor):
            raise WrongOutcome(f"{repeated} outcomes too many, {surplus_minor} minor units too many")
        if surplus_minor < 0:
            raise WrongOutcome(f"{-surplus_minor} minor units were lost")


async def read_output(task: Task, *, events: int, outcomes: int) -> ContenderOutput:
    """Read both topics of a contender to their ends, and at least that many records of each."""
    left = ContenderOutput()
    await read_committed(task.kafka, task.outcomes, outcomes, left.add_outcome)
    await read_committed(task.kafka, task.events, events, left.add_event)
    return left


async def read_committed(kafka: str, topic: str, records_min: int, take: Callable[[Any], None]) -> None:
    """Read committed records to the end of the log; raises WrongOutcome if `records_min` do not arrive."""
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_poll_records=READ_RECORDS_MAX,
    ) as consumer:
        partitions = await partitions_of(kafka, topic)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        read, moved_s = 0, time.monotonic()
        while read < records_min or await _is_behind(consumer, partitions):
            polled = await consumer.getmany(timeout_ms=100)
            for record in (record for records in polled.values() for record in records):
                take(record)
                read, moved_s = read + 1, time.monotonic()
            if time.monotonic() - moved_s > STILL_S_MAX:
                raise WrongOutcome(
                    f"{read} of {records_min} records on {topic}, and no new one for {STILL_S_MAX:g} s"
                )


async def _is_behind(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> bool:
    ends = await consumer.end_offsets(partitions)
    return any([await consumer.position(tp) < ends[tp] for tp in partitions])


async def partitions_of(kafka: str, topic: str) -> list[TopicPartition]:
    """Return all partitions of a topic when each has a leader (those of a new topic come late)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)

    async def led() -> list[TopicPartition] | None:
        (answer,) = await admin.describe_topics([topic])
        leaders = {part["partition"]: part["leader"] for part in answer["partitions"]}
        if not leaders or min(leaders.values()) < 0:
            return None
        return [TopicPartition(topic, number) for number in sorted(leaders)]

    await admin.start()
    try:
        return await eventually(led, what=f"{topic} is there")
    finally:
        await admin.close()
