"""A log that was filled anew: its name, and where readers go on, kept as offsets of a group without members.

The transaction that fills the log commits them, so they are there when the log is, and tell
two logs of one name apart that offsets alone do not.
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

FILLED_GROUP: Final = "-filled"
"""What the group's name has after that of the workers' group."""
COORDINATOR_WITHIN_S: Final = 30.0
ASK_AGAIN_S: Final = 0.1
WITHOUT_MEMBERS: Final = frozenset({"Empty", "Dead"})


def log_name(commit: OffsetAndMetadata) -> str:
    """Return the name of the log that a partition is of; empty when it was never filled."""
    note: str = commit.metadata
    return note.partition(" ")[0]


async def filled(
    bootstrap: Bootstrap, group_id: str, partitions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], OffsetAndMetadata]:
    """Return the notes of the last filling; empty when the log was never filled."""
    consumer = log_reader(bootstrap)
    try:
        await consumer.start()
        asked = [TopicPartition(*partition) for partition in partitions]
        commits = await stable_commits(client_of(consumer), f"{group_id}{FILLED_GROUP}", asked)
    except KafkaError as error:
        raise await unavailable(bootstrap, error) from error
    finally:
        await close_within("the reader of notes", consumer.stop())
    return {tuple(tp): commit for tp, commit in commits.items() if commit.offset != NO_OFFSET}


async def groups_with_members(bootstrap: Bootstrap, group_ids: Collection[str]) -> list[str]:
    """Return those of the groups in which somebody is; raises Unavailable while Kafka does not answer."""
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
    """Return a group's state, as Kafka calls it.

    A cluster that has never had a group finds no coordinator at first, and one whose
    brokers just changed loads it: both are asked again, and raise KafkaError in the end.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            # one group a question: aiokafka cannot read the answers to several at a time
            (answer,) = await admin.describe_consumer_groups([group_id])
            ((code, _, state, *_),) = answer.groups
            if code:
                raise for_code(code)(f"{group_id} is not described")
        except COORDINATOR_MISSING:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            return str(state)
