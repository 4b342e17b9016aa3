"""A log that was filled anew: its name, and where readers go on, kept as offsets of a group without members.

The transaction that fills the log commits them, so they are there when the log is, and tell
two logs of one name apart that offsets alone do not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from ledger_streams.adapters.kafka_log import log_reader
from ledger_streams.engine.kip447 import NO_OFFSET, stable_commits
from ledger_streams.errors import Unavailable

FILLED_GROUP: Final = "-filled"
"""What the group's name has after that of the workers' group."""
GROUP_STATE, GROUP_ID = 2, 1
"""Places in aiokafka's description of a group."""
WITHOUT_MEMBERS: Final = frozenset({"Empty", "Dead"})


def log_name(commit: OffsetAndMetadata) -> str:
    """Return the name of the log that a partition is of; empty when it was never filled."""
    note: str = commit.metadata
    return note.partition(" ")[0]


async def filled(
    bootstrap: str, group_id: str, partitions: Collection[tuple[str, int]]
) -> dict[tuple[str, int], OffsetAndMetadata]:
    """Return the notes of the last filling; empty when the log was never filled."""
    consumer = log_reader(bootstrap)
    try:
        await consumer.start()
        asked = [TopicPartition(*partition) for partition in partitions]
        commits = await stable_commits(consumer._client, f"{group_id}{FILLED_GROUP}", asked)
    except KafkaError as error:
        raise Unavailable(dependency="kafka", detail=repr(error)) from error
    finally:
        await consumer.stop()
    return {tuple(tp): commit for tp, commit in commits.items() if commit.offset != NO_OFFSET}


async def groups_with_members(bootstrap: str, group_ids: Collection[str]) -> list[str]:
    """Return those of the groups in which somebody is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # one by one: aiokafka cannot read the answers to several at a time
        answers = [answer for name in group_ids for answer in await admin.describe_consumer_groups([name])]
    except KafkaError as error:
        raise Unavailable(dependency="kafka", detail=repr(error)) from error
    finally:
        await admin.close()
    groups = [group for answer in answers for group in answer.groups]
    return sorted(group[GROUP_ID] for group in groups if group[GROUP_STATE] not in WITHOUT_MEMBERS)
