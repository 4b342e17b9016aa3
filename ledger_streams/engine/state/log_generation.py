"""Log generation: the name of a log that was filled anew after a loss.

A group without members stores it in the metadata of its offsets; these offsets are the points from which
readers continue.  The transaction that fills the log commits them, so they exist if and only if the records
do.  They distinguish two logs of one topic name, which offsets alone cannot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import OffsetAndMetadata

from ledger_streams.bounded_close import close_within
from ledger_streams.kafka.client_options import Bootstrap, options, unavailable
from ledger_streams.kafka.fenced_offsets import NO_OFFSET, stable_commits
from ledger_streams.kafka.log_reader import client_of, log_reader
from ledger_streams.kafka.requests import COORDINATOR_MISSING

GENERATION_GROUP: Final = "-filled"
"""Suffix of the group's name behind that of the workers' group."""
COORDINATOR_WITHIN_S: Final = 30.0
ASK_AGAIN_S: Final = 0.1
WITHOUT_MEMBERS: Final = frozenset({"Empty", "Dead"})


def generation_of(commit: OffsetAndMetadata) -> str:
    """Return the generation of a partition's log; empty if it was never filled anew."""
    metadata: str = commit.metadata
    return metadata.partition(" ")[0]


async def read_generation(
    bootstrap: Bootstrap, group_id: str, partitions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], OffsetAndMetadata]:
    """Return the offsets and generation of each partition; empty if the log was never filled anew."""
    consumer = log_reader(bootstrap)
    try:
        await consumer.start()
        asked = [TopicPartition(*partition) for partition in partitions]
        commits = await stable_commits(client_of(consumer), f"{group_id}{GENERATION_GROUP}", asked)
    except KafkaError as error:
        raise await unavailable(bootstrap, error) from error
    finally:
        await close_within("the reader of log generations", consumer.stop())
    return {tuple(tp): commit for tp, commit in commits.items() if commit.offset != NO_OFFSET}


async def groups_with_members(bootstrap: Bootstrap, group_ids: Collection[str]) -> list[str]:
    """Return the groups that have members; raise Unavailable while Kafka does not answer."""
    admin = AIOKafkaAdminClient(**options(bootstrap))
    try:
        await admin.start()
        states = [(name, await group_state(admin, name)) for name in group_ids]
    except KafkaError as error:
        raise await unavailable(bootstrap, error) from error
    finally:
        await close_within("the admin client", admin.close())
    return sorted(name for name, state in states if state not in WITHOUT_MEMBERS)


async def group_state(
    admin: AIOKafkaAdminClient, group_id: str, *, within_s: float = COORDINATOR_WITHIN_S
) -> str:
    """Return a group's state by Kafka's name.

    A cluster that never had a group has no coordinator at first, and after a change of brokers
    the coordinator is loading.  Both are asked again until `within_s`; then KafkaError is raised.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            # One group a request: aiokafka cannot read a response about several.
            (answer,) = await admin.describe_consumer_groups([group_id])
            ((code, _, state, *_),) = answer.groups
            if code:
                raise for_code(code)(f"DescribeGroups failed for the group {group_id}")
        except COORDINATOR_MISSING:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            return str(state)
