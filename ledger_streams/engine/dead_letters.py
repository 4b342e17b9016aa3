"""Dead letters: records that cannot be carried out, parked beside their topic.

They keep key, value and headers, and say in headers of their own where they stood and
what was wrong.  They are sent in the transaction of their cycle, so each is parked
once, and the rest of the frame goes on.
"""

from __future__ import annotations

import logging

from faust.types import TP

from ledger_streams.engine.cycles import Record, Share
from ledger_streams.errors import Unreadable
from ledger_streams.metrics import DEAD_LETTERS

log = logging.getLogger(__name__)

SUFFIX = ".dlq"
HEADER_PREFIX = "dlq."
DETAIL_BYTES_MAX = 1_000
"""A detail may quote what was sent; nobody reads more."""


def park(share: Share, record: Record, error: Unreadable) -> None:
    """Send `record` to the dead letters of its topic, into the partition of the same number."""
    topic, partition = share.tp
    about = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(record.offset),
        "reason": error.reason,
        "detail": error.detail,
    }
    kept = [header for header in record.headers if not header[0].startswith(HEADER_PREFIX)]
    added = [(HEADER_PREFIX + name, text.encode()[:DETAIL_BYTES_MAX]) for name, text in about.items()]
    share.emit(TP(topic + SUFFIX, partition), (record.key, record.value, (*kept, *added)))
    DEAD_LETTERS.labels(topic, error.reason).inc()
    log.warning("parked %s[%d]@%d: %s", topic, partition, record.offset, error)
