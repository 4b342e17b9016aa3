"""Group client: a group member's client with a long time-out for rebalances, and a short one for the rest.

The broker answers JoinGroup and SyncGroup when every member has joined, which may take a session.  With one
time-out for all requests, a fetch or heartbeat to a hanging broker would take as long, and its partitions
would wait although they have new leaders by then.

The client also keeps the last answer to a fetch of each partition: the last stable offset at a moment not
before the fetch was sent.

Remove when: aiokafka takes a time-out for each request.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from ledger_streams.kafka.assignor import EvenAssignor
from ledger_streams.kafka.broker_clock import steady_ms
from ledger_streams.kafka.client_options import Bootstrap, options
from ledger_streams.kafka.requests import REQUEST_TIMEOUT_MS
from ledger_streams.kafka.static_membership import StaticConsumer

METADATA_AGE_MS_MAX: Final = 30_000
"""Time until added partitions are assigned to a member; aiokafka's default is five minutes."""


class Fetched(NamedTuple):
    """The last answer to a fetch of a partition.

    A reader at `stable_end` had read everything that was there when the fetch was sent.
    """

    sent_ms: float
    """Time on the steady clock at which the fetch was sent."""
    node_id: int
    """The leader, whose clock stamps the partition's records."""
    stable_end: int
    """The last stable offset, up to which a reader of committed records can read."""


class GroupClient(AIOKafkaClient):
    """A group member's client; `request_timeout_ms` applies to all requests but rebalances."""

    def __init__(self, *, rebalance_timeout_ms: int, **config: Any) -> None:
        super().__init__(**config)
        self._rebalance_timeout_s = rebalance_timeout_ms / 1000
        self.fetched: dict[TopicPartition, Fetched] = {}
        """By partition; filled in the consumer's thread and read in others, each entry at once."""

    async def send(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request and return its answer."""
        connection = await self._get_conn(node_id, group=group)
        if connection is not None:  # a request takes the time-out that the connection has when it is sent
            is_rebalance = isinstance(request, JoinGroupRequest | SyncGroupRequest)
            plain_s = self._request_timeout_ms / 1000
            connection._request_timeout = self._rebalance_timeout_s if is_rebalance else plain_s
        sent_ms = steady_ms()
        response = await super().send(node_id, request, group=group)
        if isinstance(request, FetchRequest):
            self.fetched |= fetched_in(response, node_id=node_id, sent_ms=sent_ms)
        return response


def fetched_in(response: Any, *, node_id: int, sent_ms: float) -> dict[TopicPartition, Fetched]:
    """Return the last stable offset of each partition in a fetch response, without those in error."""
    return {
        TopicPartition(topic, partition): Fetched(sent_ms, node_id, stable_end)
        for topic, partitions in response.topics
        for partition, error_code, _high_watermark, stable_end, *_ in partitions
        if not error_code
    }


def last_fetch(consumer: AIOKafkaConsumer, tp: tuple[str, int]) -> Fetched | None:
    """Return the last answer to a fetch of a partition; None before the first."""
    fetched: dict[tuple[str, int], Fetched] = consumer._client.fetched
    return fetched.get(tp)


def known_position(consumer: AIOKafkaConsumer, tp: tuple[str, int]) -> int | None:
    """Return the consumer's position without asking the broker; None while it has no valid one."""
    state = consumer._subscription.subscription.assignment.state_value(tp)
    return state.position if state is not None and state.has_valid_position else None


class MemberSettings(Protocol):
    """The settings of a worker that its consumer is made with."""

    @property
    def worker_id(self) -> str:
        """The worker's stable name, part of its instance id."""

    @property
    def poll_records_max(self) -> int:
        """Records that a poll returns at most."""

    @property
    def fetch_wait_ms(self) -> int:
        """Time for which a broker holds a fetch that finds nothing."""

    @property
    def session_timeout_ms(self) -> int:
        """Time without a heartbeat after which the member is out."""

    @property
    def heartbeat_interval_ms(self) -> int:
        """Time between heartbeats."""


def group_member(group_id: str, bootstrap: Bootstrap, settings: MemberSettings) -> StaticConsumer:
    """Return the consumer of a worker in its group, not yet started."""
    client: dict[str, Any] = {
        **options(bootstrap),
        "client_id": f"{group_id}-{settings.worker_id}",
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "metadata_max_age_ms": METADATA_AGE_MS_MAX,
    }
    consumer = StaticConsumer(
        **client,
        group_id=group_id,
        group_instance_id=f"{group_id}-{settings.worker_id}",
        partition_assignment_strategy=[EvenAssignor],
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_poll_records=settings.poll_records_max,
        max_poll_interval_ms=3_600_000,
        fetch_max_wait_ms=settings.fetch_wait_ms,
        session_timeout_ms=settings.session_timeout_ms,
        rebalance_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
    )
    rebalance_timeout_ms = settings.session_timeout_ms + REQUEST_TIMEOUT_MS
    consumer._client = GroupClient(**client, rebalance_timeout_ms=rebalance_timeout_ms)
    return consumer
