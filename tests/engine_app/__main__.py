"""toy-in, toy-more -> sums -> toy-changelog, toy-out: adds up the numbers of each key.

A zero comes out with the sum so far and changes nothing.
With TOY_ECHO a number is followed by the next smaller one, in toy-in again, down to 1.
It reads toy-more too when TOY_SOURCES is 2.  TOY_FAULT makes it fail: as `faults` says, or
`raise` lets the agent fail on the value 13.
"""

from __future__ import annotations

import os
from typing import Any

from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, TopicBatch
from ledger_streams.engine.state.store import TableSpec
from ledger_streams.settings import settings
from tests.engine_app.faults import FAULT, PARTITIONS, faulty_app

SOURCE, MORE, CHANGELOG, OUT = (
    settings().topic(name) for name in ("toy-in", "toy-more", "toy-changelog", "toy-out")
)
ECHOES = bool(os.environ.get("TOY_ECHO"))
HAS_MORE = os.environ.get("TOY_SOURCES") == "2"

SUMS = TableSpec(
    name="sums",
    help="the sum of each key's numbers",
    source="toy-in",
    changelog="toy-changelog",
    encode=lambda total: b"%d" % total,
    decode=int,
    stored_form=bytes,
    further_sources=("toy-more",) if HAS_MORE else (),
)
changelog, out, source = (PartitionedTopic(topic, PARTITIONS) for topic in (CHANGELOG, OUT, SOURCE))
app = faulty_app(SUMS)


@app.agent(app.topic_batches(SOURCE), name="adder")
async def adder(topic_batches: Any) -> None:
    """toy-in -> sums -> toy-changelog, toy-out."""
    async for topic_batch in topic_batches:
        add_all(topic_batch)


if HAS_MORE:

    @app.agent(app.topic_batches(MORE), name="more-adder")
    async def more_adder(topic_batches: Any) -> None:
        """toy-more -> sums -> toy-changelog, toy-out."""
        async for topic_batch in topic_batches:
            add_all(topic_batch)


def add_all(topic_batch: TopicBatch) -> None:
    with topic_batch as batches:
        for batch in batches:
            for record in batch.records:
                add(batch, record.key or b"", int(record.value or b"0"))


def add(batch: PartitionBatch, key: bytes, number: int) -> None:
    if FAULT == "raise" and number == 13:
        raise ValueError("thirteen")
    total = (batch.get_state(key) or 0) + number
    encoded = b"%d" % total
    if number:
        batch.put_state(key, total, stored=encoded, logged=encoded, changelog=changelog)
    batch.emit(out.partition(batch.tp.partition), (key, encoded, ()))
    if ECHOES and number > 1:
        batch.emit(source.partition(batch.tp.partition), (key, b"%d" % (number - 1), ()))


if __name__ == "__main__":
    app.main()
