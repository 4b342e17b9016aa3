"""Fencing by the group's generation, on a real broker (KIP-447)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.fenced_offsets import NO_OFFSET, FencedProducer, Membership
from ledger_streams.kafka.transactions import CycleLost
from tests.engine_app.group import Group, group_of, member, membership_of
from tests.engine_app.harness import EngineWorkers


async def test_the_current_member_commits(workers: EngineWorkers, group: Group) -> None:
    await group.commit(b"1", group.membership)
    assert await workers.outputs() == {"key": [1]}
    assert await group.committed() == 1


@pytest.mark.parametrize("who", ["an old generation", "an unknown member"])
async def test_a_commit_of_another_member_is_refused_and_its_records_never_appear(
    workers: EngineWorkers, group: Group, who: str
) -> None:
    generation, member_id, _ = group.membership
    stranger = (
        Membership(generation - 1, member_id)
        if who == "an old generation"
        else Membership(generation, "nobody")
    )
    with pytest.raises(CycleLost):
        await group.commit(b"666", stranger)
    assert await group.committed() == NO_OFFSET
    await group.commit(b"1", group.membership)
    await group.commit(b"2", group.membership)
    assert await workers.outputs() == {"key": [1, 2]}, "not with a later transaction either"


async def test_a_static_member_replaced_in_the_same_generation_is_refused(workers: EngineWorkers) -> None:
    quiet = workers.settings.model_copy(update={"heartbeat_interval_ms": 5_000})  # hears of it late
    async with group_of(quiet, instance_id="static") as group:
        before = group.membership
        async with member(quiet, instance_id="static") as replacement:
            await replacement.getmany(timeout_ms=100)
            after = membership_of(replacement)
            assert after.generation == before.generation
            assert after.member_id != before.member_id
            with pytest.raises(CycleLost, match="82"):
                await group.commit(b"666", before)
            await group.commit(b"1", after)
    assert await workers.outputs() == {"key": [1]}


async def test_a_membership_that_would_not_be_checked_is_refused_before_anything_is_sent(
    workers: EngineWorkers, group: Group
) -> None:
    with pytest.raises(InvariantBroken, match="would not be fenced"):
        await group.commit(b"666", Membership(-1, ""))
    await group.transactions.drop()
    target = TopicPartition(*group.partition(0))
    assert await group.consumer.end_offsets([target]) == {target: 0}, "not even an aborted record"
    await group.commit(b"1", group.membership)
    assert await workers.outputs() == {"key": [1]}


async def test_a_worker_paused_until_another_has_joined_commits_nothing(
    workers: EngineWorkers, group: Group
) -> None:
    before = group.membership
    async with member(group.settings) as other:
        while group.membership.generation == before.generation:
            await other.getmany(timeout_ms=100)
            await group.consumer.getmany(timeout_ms=100)
        with pytest.raises(CycleLost):
            await group.commit(b"666", before)
        await group.commit(b"1", group.membership)
    assert await workers.outputs() == {"key": [1]}


async def test_a_position_without_a_commit_is_none(group: Group) -> None:
    await group.commit(b"1", group.membership, source_next=1)
    fresh = group.partition(1, "toy-in")
    assert await group.offsets([group.source, fresh]) == {group.source: 1, fresh: NO_OFFSET}
    assert await group.offsets([fresh], group_id="nobody's") == {fresh: NO_OFFSET}


async def test_a_position_is_read_once_the_transaction_on_it_is_committed(group: Group) -> None:
    await group.commit(b"1", group.membership)
    async with open_transaction(group, source_next=7) as producer:
        asked = asyncio.ensure_future(group.committed())
        done, _ = await asyncio.wait({asked}, timeout=0.5)
        assert not done, "it waits"
        await producer.commit_transaction()
        assert await asked == 7


async def test_a_position_is_not_read_while_a_transaction_is_open_on_it(group: Group) -> None:
    await group.commit(b"1", group.membership)
    assert await group.committed() == 1, "its marker is written"
    async with open_transaction(group, source_next=7) as producer:
        source = TopicPartition(*group.source)
        assert await group.consumer.committed(source) == 1, "asked for plainly, it is stale at once"
        assert await group.committed() == 1, "aborted by its time-out, which is waited for"
        with pytest.raises(Exception, match="ProducerFenced"):
            await producer.commit_transaction()


@asynccontextmanager
async def open_transaction(group: Group, *, source_next: int) -> AsyncIterator[FencedProducer]:
    """A transaction of another producer that has sent a position, with a time-out of 2 s."""
    producer = FencedProducer(
        bootstrap_servers=group.settings.kafka,
        transactional_id=f"{group.settings.app_id}-open",
        transaction_timeout_ms=2_000,
        acks="all",
        enable_idempotence=True,
        retry_backoff_ms=5,
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        source = TopicPartition(*group.source)
        await producer.send_fenced_offsets({source: source_next}, group.settings.app_id, group.membership)
        yield producer
    finally:
        await producer.stop()
