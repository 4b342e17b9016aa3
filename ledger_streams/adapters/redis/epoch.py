"""Redis' epoch: identifies a period in which a server lost no acknowledged write.

It is the server's replication id.  Redis makes a new one whenever its data may be older: at each start
and when a replica is promoted.  (The run_id changes at a start only: a master that is demoted and
promoted again keeps it.)  In a cluster each node has its own epoch for its slots.
"""

from __future__ import annotations

import re
from typing import Any, Final

from redis import asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

_ROLE: Final = re.compile(rb"^role:(\w+)", re.MULTILINE)
_REPLICATION_ID: Final = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)


def answer_with_epoch(redis: aioredis.Redis) -> None:
    """Make this client and its pipelines parse the reply to `INFO replication` as the epoch."""
    redis.set_response_callback("INFO", _epoch)


def ask_epoch(pipeline: Any) -> None:
    """Add the query of the epoch.

    It comes last in a pipeline: an epoch never comes back, so one that is current after a read was
    current at the read, or began after it, when no entry could bear its name yet.
    """
    pipeline.execute_command("INFO", "replication")


def epoch_in(answer: Any) -> str:
    """Return the epoch in a reply; raises RedisError when there is none."""
    if isinstance(answer, RedisError):
        raise answer
    if not isinstance(answer, str) or not answer:
        raise ResponseError("the server is a replica, or its user has no right to INFO replication")
    return answer


def _epoch(response: Any, **_options: Any) -> str:
    """Return a master's replication id; empty for a replica, which may lag."""
    text = response.encode() if isinstance(response, str) else response
    role, replication_id = _ROLE.search(text), _REPLICATION_ID.search(text)
    if role is None or role[1] != b"master" or replication_id is None:
        return ""
    return replication_id[1].decode()
