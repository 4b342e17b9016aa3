"""Cluster: roles of the testbed's brokers.

Reachable brokers are asked for leaders, replicas and coordinators.  The active controller is read
from the election's file, since Kafka tells no client.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.fault.testbed import Testbed
from tests.live import eventually

GROUP: Final = 0
TRANSACTION: Final = 1
"""The two kinds of coordinator, as FindCoordinator has them."""
IN_SYNC_S_MAX: Final = 120.0
NOBODY: Final = -1
T = TypeVar("T")


async def leader_of_most(testbed: Testbed) -> str:
    """Return the name of the broker that leads most of the system's partitions."""
    ((leader, _),) = Counter(each["leader"] for each in await _partitions(testbed)).most_common(1)
    return f"kafka-{leader}"


async def coordinator_of_group(testbed: Testbed) -> str:
    """Return the name of the broker that the workers' group is kept by."""
    return await _coordinator(testbed, testbed.live.settings.app_id, GROUP)


async def coordinator_of_transactions(testbed: Testbed) -> str:
    """Return the name of the broker that keeps the first worker's transactions."""
    settings = testbed.live.settings
    return await _coordinator(testbed, f"{settings.app_id}-1-0", TRANSACTION)


def active_controller(testbed: Testbed) -> str:
    """Return the name of the broker that is the active controller."""
    elections = [_election(testbed, name) for name in testbed.brokers]
    return f"kafka-{max(elections, key=lambda each: int(each['leaderEpoch']))['leaderId']}"


async def led_without(testbed: Testbed, *away: str) -> None:
    """Return when every partition is led by a broker that is not away."""

    async def is_so() -> bool:
        leaders = {f"kafka-{each['leader']}" for each in await _partitions(testbed)}
        return not leaders & {*away, f"kafka-{NOBODY}"}

    await eventually(is_so, what=f"the others lead without {away}", every_s=0.5)


async def in_sync(testbed: Testbed) -> None:
    """Return when every replica of the system's partitions is in sync."""

    async def is_so() -> bool:
        return all(len(each["isr"]) == len(each["replicas"]) for each in await _partitions(testbed))

    await eventually(is_so, what="all replicas are in sync", seconds=IN_SYNC_S_MAX, every_s=0.5)


async def _partitions(testbed: Testbed) -> list[Mapping[str, Any]]:
    async def ask(admin: AIOKafkaAdminClient) -> list[Mapping[str, Any]]:
        ours = [
            name for name in await admin.list_topics() if name.startswith(testbed.live.settings.topic_prefix)
        ]
        return [each for topic in await admin.describe_topics(ours) for each in topic["partitions"]]

    return await _answered(testbed, ask)


async def _coordinator(testbed: Testbed, key: str, kind: int) -> str:
    async def ask(admin: AIOKafkaAdminClient) -> int:
        node_id: int = await admin.find_coordinator(key, kind)
        return node_id

    return f"kafka-{await _answered(testbed, ask)}"


async def _answered(testbed: Testbed, ask: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    """Ask until a broker that is there is met."""
    return await eventually(partial(_asked, testbed, ask), what="a broker answers", every_s=0.2)


async def _asked(testbed: Testbed, ask: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=testbed.servers.kafka, request_timeout_ms=2_000)
    try:
        await admin.start()
        return await ask(admin)
    except KafkaError:
        return None
    finally:
        await admin.close()


def _election(testbed: Testbed, name: str) -> Mapping[str, Any]:
    path = testbed.server_folder(name) / "data" / "__cluster_metadata-0" / "quorum-state"
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found
