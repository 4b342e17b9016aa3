"""Requests to Kafka: how long one is waited for, and what is asked again.

A broker that is dead says so: its connections end.  One that hangs, or a machine cut off,
says nothing, and all that was asked of it is asked again, of its successors, only when
patience is out; so this is what a hanging broker costs.  aiokafka's own is 40 s.
"""

from typing import Final

import aiokafka.errors as kafka_errors

REQUEST_TIMEOUT_MS: Final = 10_000
"""Longer than a broker's pause for garbage, and than it needs to find that a replica is gone (9 s)."""

COORDINATOR_MISSING: Final = (
    kafka_errors.GroupCoordinatorNotAvailableError,
    kafka_errors.GroupLoadInProgressError,
    kafka_errors.NotCoordinatorForGroupError,
)
"""While a group or a transactional id has no coordinator: it is started, loaded, or moves."""
