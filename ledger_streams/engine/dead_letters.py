"""Dead letters: records that cannot be carried out, parked in the dead-letter topic of their topic.

A dead letter keeps key, value and headers of its record; further headers name its place and the error.  It
is sent in the transaction of its cycle, so it is parked exactly once, and the rest of the batch goes on.  At
a limit of dead letters in a row the process exits and leaves the next record unread: such a row is rather
our error than the records'.
"""

from __future__ import annotations

import logging

from faust.types import TP

from ledger_streams.engine.batches import PartitionBatch, Record
from ledger_streams.errors import InvariantBroken, Unreadable
from ledger_streams.kafka.redrive import LETTER_HEADERS, REDRIVEN_HEADER
from ledger_streams.metrics import DEAD_LETTERS
from ledger_streams.topics import dead_letters

log = logging.getLogger(__name__)

DETAIL_BYTES_MAX = 1_000
"""A detail may quote the record, so it is cut to the length that people read."""


def park(batch: PartitionBatch, record: Record, error: Unreadable) -> bool:
    """Send `record` to the dead letters of its topic, into the partition of the same number.

    Returns False at the limit of dead letters in a row: the record is not parked, the caller
    must not act on it, and the process exits once the records before it are committed.
    """
    topic, partition = batch.tp
    if any(name == REDRIVEN_HEADER for name, _ in record.headers):
        batch.skip(record)  # counted when it was parked for the first time
    elif not batch.try_dead_letter(record):
        batch.dlq_limit_error = _dlq_limit_error(batch, record, error)
        return False
    about = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(record.offset),
        "reason": error.reason,
        "detail": error.detail,
    }
    kept = [header for header in record.headers if _is_kept(header[0])]
    added = [(LETTER_HEADERS + name, text.encode()[:DETAIL_BYTES_MAX]) for name, text in about.items()]
    batch.emit(TP(dead_letters(topic), partition), (record.key, record.value, (*kept, *added)))
    DEAD_LETTERS.labels(topic, error.reason).inc()
    log.warning("Parked %s[%d]@%d as a dead letter: %s", topic, partition, record.offset, error)
    return True


def _is_kept(header: str) -> bool:
    """Return whether a letter keeps a header of its record; `dlq.redriven` marks one sent back before."""
    return header == REDRIVEN_HEADER or not header.startswith(LETTER_HEADERS)


def _dlq_limit_error(batch: PartitionBatch, record: Record, error: Unreadable) -> InvariantBroken:
    topic, partition = batch.tp
    count = batch.dead_letters.count + 1
    return InvariantBroken(
        f"{topic}[{partition}]@{record.offset} would be dead letter {count:,} in a row "
        f"({error}); it was not parked. `ledger-streams dlq list` shows those before it. If a newer "
        "version wrote them, upgrade the workers. To park them all the same, raise "
        "LEDGER_DEAD_LETTERS_IN_A_ROW_MAX (0: no limit). Then start the worker again"
    )
