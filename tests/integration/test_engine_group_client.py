"""Timeouts of a group member: it gives up a request without an answer, and waits for a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaError, RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from ledger_streams.engine.consumer_thread import worker_consumer
from ledger_streams.kafka.group_client import GroupClient
from ledger_streams.kafka.static_membership import Heartbeat
from tests.engine_app.harness import EngineWorkers
from tests.live import eventually

REQUEST_TIMEOUT_MS = 500
REBALANCE_MS = 2_000
"""So long the broker waits for a member that does not join again."""


@asynccontextmanager
async def client_of(workers: EngineWorkers) -> AsyncIterator[GroupClient]:
    client = GroupClient(
        bootstrap_servers=workers.settings.kafka,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        rebalance_timeout_ms=5 * REBALANCE_MS,
    )
    await client.bootstrap()
    try:
        yield client
    finally:
        await client.close()


async def coordinator_of(client: GroupClient, group_id: str) -> int:
    async def ask() -> int | None:
        try:
            node_id: int = await client.coordinator_lookup(CoordinationType.GROUP, group_id)
        except KafkaError:
            return None
        return node_id

    return await eventually(ask, what="the group has a coordinator")


async def joined(client: GroupClient, group_id: str, instance_id: str) -> Any:
    """Join the group and return what the coordinator says, when all have joined or been given up."""
    node_id = await coordinator_of(client, group_id)
    protocols = [("any", b"")]
    request = JoinGroupRequest(group_id, 6_000, REBALANCE_MS, "", instance_id, "consumer", protocols)
    return await client.send(node_id, request, group=ConnectionGroup.COORDINATION)


async def test_a_missing_response_is_waited_for_no_longer_than_the_request_s_timeout(
    workers: EngineWorkers,
) -> None:
    topic = workers.settings.topic("toy-in")
    async with AIOKafkaProducer(bootstrap_servers=workers.settings.kafka) as producer:
        last = await producer.send_and_wait(topic, b"1", partition=0)  # the partition has a leader now
    async with client_of(workers) as client:
        after = [(topic, [(0, last.offset + 1, 1_000)])]
        fetch = FetchRequest(20 * REQUEST_TIMEOUT_MS, 1, 1_000, 0, after)
        with pytest.raises(RequestTimedOutError):
            async with asyncio.timeout(10 * REQUEST_TIMEOUT_MS / 1000):
                await client.send(client.get_random_node(), fetch)


@pytest.mark.parametrize(("kind", "error"), [(SyncGroupRequest, 14), (Heartbeat, 42)])
async def test_a_member_rejoins_after_an_unexpected_error(
    workers: EngineWorkers, kind: type[Any], error: int
) -> None:
    """A coordinator that is loading answers a SyncGroup so; nobody polls while partitions are waited for."""
    async with worker_consumer(workers.settings.app_id, workers.settings) as member:
        send = member._send
        refused: list[Any] = []

        async def refusing_once(request: Any) -> Any:
            response = await send(request)
            if isinstance(request, kind) and not refused:
                refused.append(response)
                response.error_code = error
            return response

        member._send = refusing_once
        member.subscribe([workers.settings.topic("toy-in")])

        async def is_member() -> bool:
            return bool(refused) and bool(member.assignment()) and member.membership.generation > 1

        await eventually(is_member, what="it is a member again")


async def test_a_member_waits_for_a_rebalance_until_all_members_have_joined(workers: EngineWorkers) -> None:
    group_id = workers.settings.app_id
    async with client_of(workers) as first, client_of(workers) as second:
        alone = await joined(first, group_id, "first")
        began_s = asyncio.get_running_loop().time()
        both = await joined(second, group_id, "second")
        waited_ms = (asyncio.get_running_loop().time() - began_s) * 1000
    assert (alone.error_code, both.error_code) == (0, 0)
    assert waited_ms > REQUEST_TIMEOUT_MS
