"""KIP-345: a member of the group that has a name of its own, its instance id.

A second process that joins under the name takes the first one's place, and the broker
says FENCED_INSTANCE_ID to the first from then on, to all requests that bear the name.
aiokafka's heartbeat does not, so it would hear of an unknown member, as after a long
pause, and join again, which throws the second one out.  Here it bears the name; who is
told to be replaced ends, and who was paused joins again.  So does who met an error that
aiokafka leaves to its user: it would wait for being asked, and Faust never asks.
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
from ledger_streams.process_exit import end_process

log = logging.getLogger(__name__)

REJOIN_AFTER_S: Final = 1.0
FENCED_INSTANCE_ID: Final = 82
"""What the broker answers a member in whose place another one has joined."""


class HeartbeatResponseV3(HeartbeatResponse_v1):
    """As version 1."""

    API_VERSION = 3


class HeartbeatRequestV3(RequestStruct):
    """A heartbeat with the name, field by field as in Kafka's HeartbeatRequest.json."""

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
    """Builds the one version that is spoken here."""

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
        """Start, with a coordinator that speaks as said above; it joins when something is subscribed to."""
        await super().start()
        self._send = self._coordinator._send_req
        self._coordinator._send_req = self._send_named
        self._coordinator._push_error_to_user = self._join_again

    @property
    def membership(self) -> Membership:
        """Its place in the group, as it is now."""
        coordinator = self._coordinator
        return Membership(coordinator.generation, coordinator.member_id, coordinator._group_instance_id)

    async def unknown_of(self, topics: Collection[str]) -> set[str]:
        """Ask the broker, and return which of these topics it does not know."""
        self._client.set_topics(topics)
        await self._client.force_metadata_update()
        return set(topics).difference(self._client.cluster.topics())

    async def confirm_membership(self) -> None:
        """Ask the broker whose place it is, and end the process if it is another's.

        Who has lost a cycle asks before it starts producers, which would fence those of
        the other one.  Nothing follows from any other answer, or from none.
        """
        if self.membership.member_id:
            try:
                await self._send_named(Heartbeat(self._group_id, self.membership))
            except KafkaError as error:
                log.info("the broker was not asked whose place it is: %r", error)

    async def _join_again(self, error: Exception) -> None:
        """Have the coordinator's own task join the group again, after an error that nobody foresaw."""
        log.warning("joining the group %s again in %.0f s: %r", self._group_id, REJOIN_AFTER_S, error)
        await asyncio.sleep(REJOIN_AFTER_S)
        self._coordinator.request_rejoin()

    async def _send_named(self, request: Any) -> Any:
        asker = self.membership
        if isinstance(request, HeartbeatRequest):
            request = Heartbeat(self._group_id, asker)
        response = await self._send(request)
        is_fenced = getattr(response, "error_code", 0) == FENCED_INSTANCE_ID
        if is_fenced and asker.member_id == self.membership.member_id:  # else it has joined anew itself
            _end_replaced(self._group_id, asker)
        return response


def leave_when_stopped(consumer: AIOKafkaConsumer) -> None:
    """Have the consumer leave its group at `stop`; a static member stays until its session ends."""
    consumer._coordinator._group_instance_id = None


def _end_replaced(group_id: str, replaced: Membership) -> NoReturn:
    worker_id = (replaced.instance_id or "").removeprefix(f"{group_id}-")
    end_process(
        f"worker id {worker_id} is used by another process, which has taken this one's place in the group "
        f"{group_id}; started again, this one will end the other: give each a LEDGER_WORKER_ID of its own",
        InvariantBroken(f"FENCED_INSTANCE_ID for {replaced}"),
    )
