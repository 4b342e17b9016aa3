"""Static membership (KIP-345): a group member with an instance id of its own.

A second process that joins with the same instance id replaces the first one.  From then on the broker
answers FENCED_INSTANCE_ID to each request of the first one that has the instance id.  aiokafka's heartbeat
(version 1) does not have it: the first process would see UNKNOWN_MEMBER_ID, as after a long pause,
join again, and replace the second one.  Here the heartbeat is of version 3, with the
instance id.  A replaced member ends its process, and a member that was paused joins again.
A member joins again also after an error that aiokafka hands to the consumer's user, since Faust does not ask
for it.

Reproduction: tests/integration/test_engine_worker_ids.py.
Remove when: aiokafka's heartbeat has the instance id, and FENCED_INSTANCE_ID ends its consumer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, NoReturn

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatResponse_v1
from aiokafka.protocol.types import Int32, Schema, String

from ledger_streams.errors import InvariantBroken
from ledger_streams.kafka.fenced_offsets import Membership
from ledger_streams.process_exit import exit_now

log = logging.getLogger(__name__)

REJOIN_AFTER_S: Final = 1.0
FENCED_INSTANCE_ID: Final = 82
"""The error code for a member that another process has replaced."""


class HeartbeatResponseV3(HeartbeatResponse_v1):
    """As version 1."""

    API_VERSION = 3


class HeartbeatRequestV3(RequestStruct):
    """A heartbeat with the instance id, field by field as in Kafka's HeartbeatRequest.json."""

    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponseV3
    SCHEMA = Schema(
        ("group_id", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class Heartbeat(Request[HeartbeatRequestV3]):
    """Builds the request in version 3 only."""

    API_KEY = 12

    def __init__(self, group_id: str, membership: Membership) -> None:
        self._fields = (group_id, *membership)

    def build(self, request_struct_class: type[HeartbeatRequestV3]) -> HeartbeatRequestV3:
        """Return the request of the negotiated version."""
        return request_struct_class(*self._fields)


class StaticConsumer(AIOKafkaConsumer):
    """A consumer with an instance id, whose process ends when another one has taken its place."""

    _send: Callable[[Any], Awaitable[Any]]

    async def start(self) -> None:
        """Start, and make the coordinator send the instance id; it joins at the first subscription."""
        await super().start()
        self._send = self._coordinator._send_req
        self._coordinator._send_req = self._send_named
        self._coordinator._push_error_to_user = self._join_again

    @property
    def membership(self) -> Membership:
        """Its place in the group, as it is now."""
        coordinator = self._coordinator
        return Membership(coordinator.generation, coordinator.member_id, coordinator._group_instance_id)

    async def unknown_topics(self, topics: Collection[str]) -> set[str]:
        """Ask the broker, and return which of these topics it does not know."""
        self._client.set_topics(topics)
        await self._client.force_metadata_update()
        return set(topics).difference(self._client.cluster.topics())

    async def confirm_membership(self) -> None:
        """Send a heartbeat, and end the process if another one has replaced this member.

        After a lost cycle a worker calls it before it starts producers, which would fence those of
        the other process.  Other answers and errors have no effect.
        """
        if self.membership.member_id:
            try:
                await self._send_named(Heartbeat(self._group_id, self.membership))
            except KafkaError as error:
                log.info("No reply to the heartbeat of this worker; going on: %r", error)

    async def _join_again(self, error: Exception) -> None:
        """Make the coordinator join the group again after an error that aiokafka does not handle."""
        log.warning(
            "Membership in group %s failed; joining again in %.0f s: %r",
            self._group_id,
            REJOIN_AFTER_S,
            error,
        )
        await asyncio.sleep(REJOIN_AFTER_S)
        self._coordinator.request_rejoin()

    async def _send_named(self, request: Any) -> Any:
        asker = self.membership
        if isinstance(request, HeartbeatRequest):
            request = Heartbeat(self._group_id, asker)
        response = await self._send(request)
        is_fenced = getattr(response, "error_code", 0) == FENCED_INSTANCE_ID
        if is_fenced and asker.member_id == self.membership.member_id:  # else it has joined again itself
            _end_replaced(self._group_id, asker)
        return response


def leave_when_stopped(consumer: AIOKafkaConsumer) -> None:
    """Have the consumer leave its group at `stop`; a static member stays until its session ends."""
    consumer._coordinator._group_instance_id = None


def _end_replaced(group_id: str, replaced: Membership) -> NoReturn:
    worker_id = (replaced.instance_id or "").removeprefix(f"{group_id}-")
    exit_now(
        f"worker id {worker_id} is used by another process, which has taken this one's place in the group "
        f"{group_id}; started again, this one will end the other: give each a LEDGER_WORKER_ID of its own",
        InvariantBroken(f"FENCED_INSTANCE_ID for {replaced}"),
    )
