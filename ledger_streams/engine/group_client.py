"""Group client: aiokafka's client, which waits long for a rebalance and for nothing else.

JoinGroup and SyncGroup are answered when every member has come, which may take a session.
With one patience for all, a fetch or a heartbeat that a hanging broker never answers would
take as long, and its partitions would wait although others lead them by then.
"""

from __future__ import annotations

from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest


class GroupClient(AIOKafkaClient):
    """A client of a group's member; `request_timeout_ms` is for all but rebalances."""

    def __init__(self, *, rebalance_timeout_ms: int, **config: Any) -> None:
        super().__init__(**config)
        self._rebalance_timeout_s = rebalance_timeout_ms / 1000

    async def send(self, node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """Send a request and return its answer."""
        connection = await self._get_conn(node_id, group=group)
        if connection is not None:  # it takes the patience of this moment along with the request
            is_rebalance = isinstance(request, JoinGroupRequest | SyncGroupRequest)
            plain_s = self._request_timeout_ms / 1000
            connection._request_timeout = self._rebalance_timeout_s if is_rebalance else plain_s
        return await super().send(node_id, request, group=group)
