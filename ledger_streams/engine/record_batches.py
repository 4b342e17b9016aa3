"""Record batches: what is sent to one partition, cut to what the broker takes."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from ledger_streams.engine.cycles import Outgoing
from ledger_streams.errors import InvariantBroken

BATCH_BYTES_MAX = 900_000
"""Payload of one record batch; the broker takes 1 MiB (message.max.bytes), overhead included."""

RECORD_OVERHEAD_BYTES = 64
"""More than the framing of a record takes."""

HEADER_OVERHEAD_BYTES = 10
"""More than the framing of a header takes."""


def record_batches(
    producer: AIOKafkaProducer, records: list[Outgoing]
) -> list[tuple[object, list[Outgoing]]]:
    """Return record batches of at most BATCH_BYTES_MAX of payload, with the records in each."""
    batches = []
    batch, begin, size = producer.create_batch(), 0, 0
    for number, (key, value, headers) in enumerate(records):
        record_bytes = len(key or b"") + len(value or b"") + RECORD_OVERHEAD_BYTES
        for name, text in headers:  # a header of somebody else's may have no text
            record_bytes += len(name.encode()) + len(text or b"") + HEADER_OVERHEAD_BYTES
        if number > begin and size + record_bytes > BATCH_BYTES_MAX:
            batches.append((batch, records[begin:number]))
            batch, begin, size = producer.create_batch(), number, 0
        if batch.append(key=key, value=value, timestamp=None, headers=list(headers)) is None:
            raise InvariantBroken(f"a record of {record_bytes} bytes does not fit a batch")
        size += record_bytes
    batches.append((batch, records[begin:]))
    return batches
