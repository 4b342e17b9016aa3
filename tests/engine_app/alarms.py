"""toy-in -> alarms -> toy-changelog, toy-out: rings when an alarm's time has come.

A record sets the alarm of its key to a time (ms since 1970), or withdraws it (`off`).  A
`bell` that rings is off from then on, so it rings once whatever is given twice.  A `note`
tells every deadline it is given and changes nothing: its state goes on saying when it was due.
"""

from __future__ import annotations

from typing import Any

from ledger_streams.engine.batches import PartitionBatch, PartitionedTopic, TopicBatch
from ledger_streams.engine.state.store import TableSpec
from ledger_streams.engine.state.timers import Due
from ledger_streams.settings import settings
from tests.engine_app.faults import PARTITIONS, faulty_app

SOURCE, CHANGELOG, OUT = (settings().topic(name) for name in ("toy-in", "toy-changelog", "toy-out"))
OFF = b"off"


def due_ms_of(stored: bytes) -> int | None:
    """Return when an alarm rings."""
    return None if stored == OFF else int(stored)


ALARMS = TableSpec(
    name="alarms",
    help="when each alarm rings",
    source="toy-in",
    changelog="toy-changelog",
    encode=bytes,
    decode=bytes,
    stored_form=bytes,
    due_ms_of=due_ms_of,
)
changelog, out = PartitionedTopic(CHANGELOG, PARTITIONS), PartitionedTopic(OUT, PARTITIONS)
app = faulty_app(ALARMS)


@app.agent(app.topic_batches(SOURCE), name="alarms")
async def alarms(topic_batches: Any) -> None:
    """toy-in -> alarms -> toy-changelog, toy-out."""
    topic_batch: TopicBatch
    async for topic_batch in topic_batches:
        with topic_batch as batches:
            for batch in batches:
                for due in batch.due:
                    ring(batch, due)
                for record in batch.records:
                    put(batch, record.key or b"", record.value or OFF)


def ring(batch: PartitionBatch, due: Due) -> None:
    if due.key.startswith(b"bell"):
        if batch.get_state(due.key) != b"%d" % due.due_ms:
            return
        put(batch, due.key, OFF)
    batch.emit(out.partition(batch.tp.partition), (due.key, b"%d" % due.due_ms, ()))


def put(batch: PartitionBatch, key: bytes, value: bytes) -> None:
    batch.put_state(key, value, stored=value, logged=value, changelog=changelog)


if __name__ == "__main__":
    app.main()
