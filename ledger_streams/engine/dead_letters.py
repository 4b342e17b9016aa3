"""Dead letters: records that cannot be carried out, parked beside their topic.

They keep key, value and headers, and say in headers of their own where they stood and
what was wrong.  They are sent in the transaction of their cycle, so each is parked
once, and the rest of the frame goes on.  A flood of them is not drained: beyond a limit
of letters in a row the process ends, and leaves the next one where it is.
"""

from __future__ import annotations

import logging

from faust.types import TP

from ledger_streams.engine.batches import Record, Share
from ledger_streams.errors import InvariantBroken, Unreadable
from ledger_streams.kafka.redrive import LETTER_HEADERS, REDRIVEN_HEADER
from ledger_streams.metrics import DEAD_LETTERS
from ledger_streams.topics import dead_letters

log = logging.getLogger(__name__)

DETAIL_BYTES_MAX = 1_000
"""A detail may quote what was sent; nobody reads more."""


def park(share: Share, record: Record, error: Unreadable) -> bool:
    """Send `record` to the dead letters of its topic, into the partition of the same number.

    False when it is one letter too many in a row: then nothing may be done about it,
    and the process ends when what comes before it is committed.
    """
    topic, partition = share.tp
    if any(name == REDRIVEN_HEADER for name, _ in record.headers):
        share.pass_over(record)  # it was counted when it was parked for the first time
    elif not share.takes_letter(record):
        share.flood = _flood(share, record, error)
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
    share.emit(TP(dead_letters(topic), partition), (record.key, record.value, (*kept, *added)))
    DEAD_LETTERS.labels(topic, error.reason).inc()
    log.warning("parked %s[%d]@%d: %s", topic, partition, record.offset, error)
    return True


def _is_kept(header: str) -> bool:
    """Say whether a letter keeps a header of its record: `dlq.redriven` tells it from the letter before."""
    return header == REDRIVEN_HEADER or not header.startswith(LETTER_HEADERS)


def _flood(share: Share, record: Record, error: Unreadable) -> InvariantBroken:
    topic, partition = share.tp
    return InvariantBroken(
        f"{topic}[{partition}]@{record.offset} would be dead letter {share.letters.count + 1:,} in a row "
        f"({error}); it stays where it is. `ledger-streams dlq list` shows those before it. If a newer "
        "version wrote them, upgrade the workers; to park them all the same, raise "
        "LEDGER_DEAD_LETTERS_IN_A_ROW_MAX (0: no limit). Then start again"
    )
