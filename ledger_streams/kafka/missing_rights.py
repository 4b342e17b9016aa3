"""Rights: the errors with which a broker refuses a request, said with what is missing, once.

Some requests only find and end hanging transactions.  A broker that does not know them, or does not
allow them, is taken as it is: `go_without` says so once a process and counts every time.
"""

from __future__ import annotations

import logging
from typing import Final

import aiokafka.errors as kafka_errors

from ledger_streams.metrics import KAFKA_REQUESTS_DENIED

log = logging.getLogger(__name__)

DENIED: Final = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
)
UNKNOWN: Final = (kafka_errors.IncompatibleBrokerVersion, kafka_errors.UnsupportedVersionError)
NOT_GRANTED: Final = (*DENIED, *UNKNOWN)
RESOURCES: Final = {
    kafka_errors.TopicAuthorizationFailedError: "a topic (READ or WRITE)",
    kafka_errors.GroupAuthorizationFailedError: "a consumer group (READ)",
    kafka_errors.ClusterAuthorizationFailedError: "the cluster",
    kafka_errors.TransactionalIdAuthorizationFailed: "a transactional id (WRITE)",
}
_said: set[str] = set()


def missing_right(error: BaseException | None) -> str | None:
    """Return the missing right that an error tells of; None for other errors."""
    while error is not None and not isinstance(error, DENIED):
        error = error.__cause__
    if error is None:
        return None
    named = f": {', '.join(map(str, error.args))}" if error.args else ""
    return (
        f"the broker does not grant this principal its right on {RESOURCES[type(error)]}{named}; "
        "`ledger-streams topics acls` lists the rights of each role"
    )


def go_without(request: str, error: BaseException, consequence: str) -> None:
    """Log once, and count each time, that the broker refuses a request; the work continues without it."""
    KAFKA_REQUESTS_DENIED.labels(request).inc()
    if request not in _said:
        _said.add(request)
        log.warning("Kafka does not allow or know %s (%s): %s", request, type(error).__name__, consequence)
