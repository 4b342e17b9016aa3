"""Topics: every topic of the system, declared once.

`apply` creates and configures the broker's topics as declared; `check` lists differences.  The
partition of a key depends on the partition count, so `apply` never changes the count of an
existing topic and `check` reports it.  All topics use LogAppendTime: the ledger's clock is the
broker's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from ledger_streams.bounded_close import close_within
from ledger_streams.errors import Unavailable
from ledger_streams.kafka.brokers import not_led
from ledger_streams.kafka.client_options import options, unavailable
from ledger_streams.kafka_settings import client_options
from ledger_streams.settings import Settings

PAYMENT_EVENTS: Final = "payment-events"
"""Requests of payments, and the outcome of each; key: the payment."""
SAGA_EVENTS: Final = "saga-events"
"""Start, steps and end of each payment's saga; key: the payment."""
WALLET_EVENTS: Final = "wallet-events"
"""History of each wallet, with the wallet after each event; key: the wallet."""
WALLET_COMMANDS: Final = "wallet-commands"
"""Commands of sagas and of the API to wallets; key: the wallet."""
SAGA_COMMANDS: Final = "saga-commands"
"""Commands of refunds and of people to sagas; key: the payment that is asked."""
PROVIDER_REQUESTS: Final = "provider-requests"
"""Orders of sagas to payment providers; key: the payment."""
PROVIDER_POSITIONS: Final = f"{PROVIDER_REQUESTS}.positions"
"""Positions of gateways in provider-requests, written in their transactions; key: "next"."""
PAYMENTS_CHANGELOG: Final = "payments-changelog"
"""Changelog of the table of known payments; key: the payment."""
SAGAS_CHANGELOG: Final = "sagas-changelog"
"""Changelog of the table of sagas; key: the payment."""
REDRIVES: Final = "redrives"
"""Dead letters that `dlq redrive` has sent back, so that each goes back once; key: the letter's place."""
AUDIT_ROOTS: Final = "audit-roots"
"""Merkle roots of closed days, published by projectors; key: the UTC day."""

DAY_MS: Final = 24 * 60 * 60 * 1000
DEAD_LETTER_BYTES_MAX: Final = 2 << 20
"""A record of 1 MiB, the maximum of its topic, and the headers that describe its error."""
VISIBLE_WITHIN_S: Final = 30.0
"""The controller acknowledges a change before all brokers show it."""
POLL_S: Final = 0.05
TOPIC_EXISTS: Final = 36
"""Kafka's error code: a concurrent `apply` created the topic."""


@dataclass(frozen=True)
class TopicSpec:
    """A declared topic; `retention_ms` None is the broker's default, which compaction ignores."""

    name: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None = None
    min_compaction_lag_ms: int | None = None
    max_message_bytes: int | None = None

    def configs(self, settings: Settings) -> dict[str, str]:
        """Return the declared configuration; other values are the broker's defaults."""
        configs = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(settings.min_insync_replicas),
            "unclean.leader.election.enable": "false",
        }
        if self.retention_ms is not None:
            configs["retention.ms"] = str(self.retention_ms)
        if self.min_compaction_lag_ms is not None:
            configs["min.compaction.lag.ms"] = str(self.min_compaction_lag_ms)
        if self.max_message_bytes is not None:
            configs["max.message.bytes"] = str(self.max_message_bytes)
        return configs


def dead_letters(name: str) -> str:
    """Return the name of a topic's dead-letter topic."""
    return f"{name}.dlq"


def _with_dead_letters(topic: TopicSpec) -> tuple[TopicSpec, TopicSpec]:
    letters, bytes_max = dead_letters(topic.name), DEAD_LETTER_BYTES_MAX
    return topic, TopicSpec(letters, topic.partitions, "delete", 30 * DAY_MS, max_message_bytes=bytes_max)


TOPICS: Final = (
    *_with_dead_letters(TopicSpec(PAYMENT_EVENTS, 12, "delete", 7 * DAY_MS)),
    *_with_dead_letters(TopicSpec(SAGA_EVENTS, 6, "delete", 14 * DAY_MS)),
    *_with_dead_letters(TopicSpec(WALLET_COMMANDS, 8, "delete", 7 * DAY_MS)),
    *_with_dead_letters(TopicSpec(SAGA_COMMANDS, 6, "delete", 14 * DAY_MS)),
    *_with_dead_letters(TopicSpec(PROVIDER_REQUESTS, 6, "delete", 14 * DAY_MS)),
    TopicSpec(PROVIDER_POSITIONS, 6, "compact"),
    TopicSpec(WALLET_EVENTS, 8, "compact", 30 * DAY_MS, min_compaction_lag_ms=30 * DAY_MS),
    TopicSpec(PAYMENTS_CHANGELOG, 12, "compact"),
    TopicSpec(SAGAS_CHANGELOG, 6, "compact"),
    TopicSpec(REDRIVES, 1, "compact"),
    TopicSpec(AUDIT_ROOTS, 1, "compact"),
)
"""A changelog has as many partitions as the topic whose agent writes its table."""

_BY_NAME: Final = {topic.name: topic for topic in TOPICS}


def spec(name: str) -> TopicSpec:
    """Return the declaration of a topic by its name without prefix; KeyError for an undeclared name."""
    return _BY_NAME[name]


def names(settings: Settings) -> list[str]:
    """Return the full names of all topics."""
    return [settings.topic(topic.name) for topic in TOPICS]


async def apply(settings: Settings) -> list[str]:
    """Create missing topics and set differing configuration; return a line for each change.

    Partitions and replicas stay as they are; `check` reports them.
    """
    async with _admin(settings) as admin:
        existing = await _described(admin, settings)
        missing = [topic for topic in TOPICS if settings.topic(topic.name) not in existing]
        created = await _create(admin, settings, missing)
        await _until_none(lambda: not_led(admin, names(settings)))
        altered = await _with_other_configs(admin, settings, [one for one in TOPICS if one not in created])
        if altered:
            await _alter(admin, settings, list(altered))
            await _until_none(lambda: _with_other_configs(admin, settings, list(altered)))
    done = [f"created {settings.topic(topic.name)} with {topic.partitions} partitions" for topic in created]
    return done + [f"changed {line}" for lines in altered.values() for line in lines]


async def check(settings: Settings) -> list[str]:
    """Return the differences between declaration and broker, a line each."""
    async with _admin(settings) as admin:
        existing = await _described(admin, settings)
        present = [topic for topic in TOPICS if settings.topic(topic.name) in existing]
        configs = await _with_other_configs(admin, settings, present)
    differences: list[str] = []
    for topic in TOPICS:
        name = settings.topic(topic.name)
        if name not in existing:
            differences.append(f"{name}: is missing")
            continue
        differences += _shape_differences(settings, topic, existing[name])
        differences += configs.get(topic, [])
    return differences


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**options(client_options(settings)))
    try:
        await admin.start()
        yield admin
    except KafkaError as error:
        raise await unavailable(client_options(settings), error) from error
    finally:
        await close_within("the admin client", admin.close())


async def _described(
    admin: AIOKafkaAdminClient, settings: Settings
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return the partitions of our existing topics, by full name."""
    answers = await admin.describe_topics(names(settings))
    return {answer["topic"]: answer["partitions"] for answer in answers if not answer["error_code"]}


async def _create(
    admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[TopicSpec]
) -> list[TopicSpec]:
    """Create the topics; return them without those that a concurrent `apply` created."""
    if not topics:
        return []
    wanted = {settings.topic(topic.name): topic for topic in topics}
    new = [
        NewTopic(name, topic.partitions, settings.replication_factor, topic_configs=topic.configs(settings))
        for name, topic in wanted.items()
    ]
    answer = await admin.create_topics(new)
    for name, code, message in answer.topic_errors:
        if code not in (0, TOPIC_EXISTS):
            raise for_code(code)(f"{name} cannot be created: {message}")
    return [wanted[name] for name, code, _ in answer.topic_errors if not code]


async def _until_none(missing: Callable[[], Awaitable[Collection[Any]]]) -> None:
    """Wait until all brokers show the change that the controller acknowledged."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while await missing():
        if time.monotonic() > deadline:
            raise Unavailable(dependency="kafka", detail="the changed topics are not visible yet")
        await asyncio.sleep(POLL_S)


def _shape_differences(
    settings: Settings, topic: TopicSpec, partitions: Sequence[Mapping[str, Any]]
) -> list[str]:
    name = settings.topic(topic.name)
    differences = []
    if len(partitions) != topic.partitions:
        differences.append(
            f"{name}: has {len(partitions)} partitions, not {topic.partitions}; keys would move"
        )
    replicas = {len(part["replicas"]) for part in partitions}
    if replicas != {settings.replication_factor}:
        has, wanted = ", ".join(map(str, sorted(replicas))), settings.replication_factor
        differences.append(f"{name}: has {has} replicas, not {wanted}; reassign to change it")
    return differences


async def _with_other_configs(
    admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[TopicSpec]
) -> dict[TopicSpec, list[str]]:
    """Return the topics whose configuration differs from the declared, with a line for each difference."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic.name)) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for code, message, _, name, entries in answer.resources:
            if code:
                raise for_code(code)(f"{name} cannot be described: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    differences: dict[TopicSpec, list[str]] = {}
    for topic in topics:
        name = settings.topic(topic.name)
        for key, wanted in topic.configs(settings).items():
            if (has := found[name].get(key)) != wanted:
                differences.setdefault(topic, []).append(f"{name}: {key} is {has}, not {wanted}")
    return differences


async def _alter(admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[TopicSpec]) -> None:
    """Set the whole configuration of the topics; other values are reset to defaults."""
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic.name), configs=topic.configs(settings))
        for topic in topics
    ]
    for answer in await admin.alter_configs(resources):
        for code, message, _, name in answer.resources:
            if code:
                raise for_code(code)(f"{name} cannot be changed: {message}")
