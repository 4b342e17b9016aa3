"""Fenced offsets (KIP-447): offsets of a transaction, fenced by the consumer group's generation.

TxnOffsetCommit v3 has the generation and the member id.  The broker refuses the offsets of a worker whose
partitions have moved to another one, and with them the whole transaction.  OffsetFetch v7 (`require_stable`)
refuses while transactions with offsets are open.  aiokafka 0.14 has neither version.

Reproduction: tests/integration/test_fenced_offsets.py.
Remove when: aiokafka has TxnOffsetCommit v3 and OffsetFetch v7.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.producer.sender import Sender, TxnOffsetCommitHandler
from aiokafka.structs import OffsetAndMetadata

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.fenced_offset_messages import (
    OffsetFetch,
    OffsetFetchResponseV7,
    TxnOffsetCommit,
    TxnOffsetCommitResponseV3,
)
from ledger_streams.kafka.requests import COORDINATOR_MISSING
from ledger_streams.kafka.transactional_producer import noted

NO_OFFSET = -1
"""The broker's answer for a partition without a committed offset."""

GROUP_MOVED_ON_CODES = {22, 25, 27, 82}
"""ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS, FENCED_INSTANCE_ID."""


class GroupMovedOn(kafka_errors.KafkaError):
    """The generation is over: the transaction is refused, and the worker takes over again."""


class Membership(NamedTuple):
    """A member's place in the group, as it was when its partitions were taken over."""

    generation: int
    member_id: str
    instance_id: str | None = None


def check_fences(membership: Membership) -> None:
    """Raise InvariantBroken unless the broker would check the membership.

    Generation -1 with an empty member, which a member has after a failed heartbeat,
    would make it skip the check.
    """
    if membership.generation < 0 or not membership.member_id:
        raise InvariantBroken(f"offsets would not be fenced by {membership}")


class _FencedOffsetCommit(TxnOffsetCommitHandler):
    """aiokafka's handler, with the membership in the request."""

    def create_request(self) -> TxnOffsetCommit:
        manager, membership = self._sender._txn_manager, self._sender.membership
        topics: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for tp, offset in sorted(self._offsets.items()):
            topics[tp.topic].append((tp.partition, offset.offset, -1, offset.metadata, {}))
        return TxnOffsetCommit(
            manager.transactional_id,
            self._group_id,
            manager.producer_id,
            manager.producer_epoch,
            membership.generation,
            membership.member_id,
            membership.instance_id,
            [(topic, partitions, {}) for topic, partitions in topics.items()],
            {},
        )

    def handle_response(self, resp: TxnOffsetCommitResponseV3) -> Any:
        codes = {code for _topic, errors, _ in resp.errors for _p, code, _tags in errors}
        if codes & GROUP_MOVED_ON_CODES:
            raise GroupMovedOn(f"error codes {sorted(codes)} for {self._sender.membership}")
        plain = [(topic, [(p, code) for p, code, _ in errors]) for topic, errors, _ in resp.errors]
        return super().handle_response(_WithErrors(plain))


class _WithErrors(NamedTuple):
    """The shape of the older response, which aiokafka's handler reads."""

    errors: list[tuple[str, list[tuple[int, int]]]]


class _FencedSender(Sender):
    """aiokafka's sender; one membership a transaction."""

    membership: Membership

    async def _do_txn_offset_commit(self, offsets: Mapping[TopicPartition, Any], group_id: str) -> None:
        if not offsets:  # the group is in the transaction, without offsets
            self._txn_manager._pending_txn_offsets.popleft()[2].set_result(None)
            return
        node_id = await self._find_coordinator(CoordinationType.GROUP, group_id)
        await _FencedOffsetCommit(self, offsets, group_id).do(node_id)


class FencedProducer(AIOKafkaProducer):
    """A transactional producer whose offsets are fenced by the group's generation."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._sender: _FencedSender = _FencedSender(
            self.client,
            acks=self._sender._acks,
            txn_manager=self._txn_manager,
            retry_backoff_ms=config["retry_backoff_ms"],
            message_accumulator=self._message_accumulator,
            request_timeout_ms=self._request_timeout_ms,
        )

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open and no error has ended it."""
        return bool(self._txn_manager.is_in_transaction())

    def announce(self, partition: TopicPartition) -> None:
        """Add a partition to the open transaction; raises IllegalOperation when an error ended that."""
        self._check_in_transaction()
        self._txn_manager.maybe_add_partition_to_txn(partition)

    def announce_group(self, group_id: str) -> None:
        """Add the group to the open transaction while records are being sent, not after them.

        Raises IllegalOperation when an error ended the transaction.
        """
        self._check_in_transaction()
        if self._txn_manager._txn_consumer_group is None:
            self._txn_manager.add_offsets_to_txn({}, group_id).add_done_callback(noted)

    def _check_in_transaction(self) -> None:
        if not self.is_in_transaction:  # where aiokafka asserts
            raise kafka_errors.IllegalOperation(f"the transaction is in state {self._txn_manager.state.name}")

    async def send_fenced_offsets(
        self,
        offsets: Mapping[TopicPartition, int],
        group_id: str,
        membership: Membership,
        notes: Mapping[TopicPartition, str] = MappingProxyType({}),
    ) -> None:
        """Add source offsets and their metadata to the open transaction, fenced by `membership`."""
        check_fences(membership)
        self._sender.membership = membership
        await self.send_offsets_to_transaction(
            {
                TopicPartition(*tp): OffsetAndMetadata(offset, notes.get(tp, ""))
                for tp, offset in offsets.items()
            },
            group_id,
        )


async def stable_commits(
    client: AIOKafkaClient, group_id: str, partitions: Iterable[TopicPartition], *, retry_ms: int = 50
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return the committed offset of each partition, NO_OFFSET where there is none, with its metadata.

    Waits while a transaction that may change one of them is open: before the last owner is fenced, the
    offset would be stale.
    """
    topics: dict[str, list[int]] = defaultdict(list)
    for tp in partitions:
        topics[tp.topic].append(tp.partition)
    request = OffsetFetch(group_id, [(topic, ps, {}) for topic, ps in topics.items()], True, {})
    while True:
        with suppress(*COORDINATOR_MISSING):
            node_id = await client.coordinator_lookup(CoordinationType.GROUP, group_id)
            if await client.ready(node_id, group=ConnectionGroup.COORDINATION):
                response = await client.send(node_id, request, group=ConnectionGroup.COORDINATION)
                commits = _read_commits(response)
                if commits is not None:
                    return commits
        await asyncio.sleep(retry_ms / 1000)


_RETRIED = {error.errno for error in COORDINATOR_MISSING} | {88}
"""88 is UNSTABLE_OFFSET_COMMIT: a transaction is still open."""


def _read_commits(response: OffsetFetchResponseV7) -> dict[TopicPartition, OffsetAndMetadata] | None:
    codes = {response.error_code}
    commits: dict[TopicPartition, OffsetAndMetadata] = {}
    for topic, partitions, _ in response.topics:
        for partition, offset, _epoch, note, error_code, _tags in partitions:
            codes.add(error_code)
            commits[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, note or "")
    codes.discard(0)
    if codes - _RETRIED:
        raise kafka_errors.for_code(next(iter(codes - _RETRIED)))()
    return None if codes else commits
