"""Requests to Kafka: time-outs, and the errors that are retried.

A broker that is dead says so: its connections end.  One that hangs, or a machine cut off,
says nothing, and all that was asked of it is asked again, of its successors, only when
patience is out; so this is what a hanging broker costs.  aiokafka's own is 40 s.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import aiokafka.errors as kafka_errors

REQUEST_TIMEOUT_MS: Final = 10_000
"""Longer than a broker's pause for garbage, and than it needs to find that a replica is gone (9 s)."""

COORDINATOR_MISSING: Final = (
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.GroupLoadInProgressError,
    kafka_errors.NotCoordinatorForGroupError,
)
"""While a group or a transactional id has no coordinator: it is started, loaded, or moves."""

LEADER_MOVING: Final = (kafka_errors.LeaderNotAvailableError, kafka_errors.NotLeaderForPartitionError)
"""While a partition's leader is elected, or has been named and does not know it yet, as in a new topic."""

ELECTION_S_MAX: Final = 15.0
"""A busy machine has taken some seconds; a cluster that has lost a broker finds that out in nine."""
ASK_AGAIN_S: Final = 0.05
T = TypeVar("T")


async def when_led(ask: Callable[[], Awaitable[T]], seconds_max: float = ELECTION_S_MAX) -> T:
    """Send a request; retry while a partition's leader moves, and raise the error after `seconds_max`."""
    until_s = time.monotonic() + seconds_max
    while True:
        try:
            return await ask()
        except LEADER_MOVING:
            if time.monotonic() >= until_s:
                raise
        await asyncio.sleep(ASK_AGAIN_S)
